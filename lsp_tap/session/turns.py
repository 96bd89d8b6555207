"""Turns: what a person asked and all that was done about it, until they asked again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lsp_tap.session.history import Call, Message, SessionHistory

_ATTACHED: Final = re.compile(r"<file\b[^>]*>.*?</file>", re.DOTALL)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*\s(?:[^"\\]|\\.)*)"\s*', re.DOTALL)


@dataclass(frozen=True, slots=True)
class TurnHistory:
    """One turn. It owns the time from `start_us` until the next turn starts (`limit_us`); it was over at `end_us`."""

    user: Message
    replies: tuple[Message, ...]
    calls: tuple[Call, ...]
    start_us: int
    end_us: int
    limit_us: float

    @property
    def last_reply(self) -> Message | None:
        return self.replies[-1] if self.replies else None


def parse_task(text: str) -> str:
    """The user's words: without attached files, and without the quotes `opencode run` puts around an argument."""
    text = _ATTACHED.sub("", text).strip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[1].replace('\\"', '"').strip() if quoted else text


def find_turns(session: SessionHistory) -> list[TurnHistory]:
    """The turns of a session, in order.

    An assistant message belongs to the user message it answers (`parent_id`), wherever it was journalled. A user
    message in which the client alone speaks (after a compaction, say) continues the turn before it.
    """
    messages = session.ordered_messages()
    users = [message for message in messages if message.role == "user" and not _is_synthetic(message)]
    home: dict[str, str] = {user.message_id: user.message_id for user in users}
    latest: str | None = None
    for message in messages:
        if message.message_id in home:
            latest = message.message_id
        elif latest is not None:
            parent = message.latest.parent_id if message.latest else None
            home[message.message_id] = home.get(parent or "", latest)
    replies_to: dict[str, list[Message]] = {user.message_id: [] for user in users}
    for message in messages:
        if message.role == "assistant" and message.message_id in home:
            replies_to[home[message.message_id]].append(message)
    turns = []
    for number, user in enumerate(users):
        replies = tuple(replies_to[user.message_id])
        calls = [call for m in replies for call in map(session.calls.get, m.calls) if call]
        limit = users[number + 1].created_us if number + 1 < len(users) else float("inf")
        ends = [m.latest.completed_ms for m in replies if m.latest and m.latest.completed_ms]
        end = max([int(ms * 1000) for ms in ends] + [c.end_us or 0 for c in calls] + [user.created_us])
        calls.sort(key=lambda call: call.start_us or end)
        turns.append(TurnHistory(user, replies, tuple(calls), user.created_us, end, limit))
    return turns


def _is_synthetic(message: Message) -> bool:
    texts = message.texts.values()
    return bool(texts) and all(text.synthetic for text in texts)
