"""The line at the bottom in which filters, searches and file names are typed. What is wrong shows under it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from lsp_tap.errors import LspTapError
from lsp_tap.inspect.filter_language import BadFilter
from lsp_tap.inspect.terminal import one_line


@dataclass(slots=True)
class Question:
    """What is asked. `check` raises LspTapError or OSError for what cannot be; `earlier` is the history."""

    label: str
    check: Callable[[str], object]
    hint: str = ""
    earlier: list[str] = field(default_factory=list)


class _Answer(Input):
    """What is typed. Bindings are looked up when a key has bubbled to the app, and by then later keys are already here;
    so the keys that end the line work at once, and those typed after them go to whoever has the focus then."""

    is_closed = True

    async def _on_key(self, event: Key) -> None:
        prompt = self.query_ancestor(Prompt)
        if self.is_closed:
            self.app.post_message(Key(event.key, event.character))
        elif event.key == "enter":
            prompt.submit()
        elif event.key == "escape":
            prompt.close()
        elif event.key in ("up", "down"):
            prompt.recall(-1 if event.key == "up" else 1)
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()


class Prompt(Vertical):
    """Hidden until it asks. `then` has the focus after it."""

    class Answered(Message):
        """`text` was given to `question`."""

        def __init__(self, question: Question, text: str) -> None:
            super().__init__()
            self.question, self.text = question, text

    def __init__(self, then: Widget) -> None:
        super().__init__(id="prompt")
        self._then = then
        self._question = Question("", str)
        self._recalled = 0
        self._draft = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(id="prompt-label")
            yield _Answer(id="prompt-input", compact=True, select_on_focus=False)
        yield Static(id="prompt-note")

    def ask(self, question: Question, text: str = "") -> None:
        self._question, self._recalled, self._draft = question, len(question.earlier), text
        self.query_one("#prompt-label", Static).update(Text(question.label))
        answer = self.query_one(_Answer)
        answer.value = text
        answer.cursor_position = len(text)
        self.display = True
        self._note()
        answer.is_closed = False
        answer.cursor_blink = False
        self.screen.set_focus(answer)

    def close(self) -> None:
        self.query_one(_Answer).is_closed = True
        self.screen.set_focus(self._then)
        self.display = False

    def recall(self, by: int) -> None:
        """An earlier line, or a later one."""
        earlier = self._question.earlier
        if not earlier:
            return
        answer = self.query_one(_Answer)
        if self._recalled == len(earlier):
            self._draft = answer.value
        self._recalled = max(0, min(len(earlier), self._recalled + by))
        answer.value = self._draft if self._recalled == len(earlier) else earlier[self._recalled]
        answer.cursor_position = len(answer.value)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._note()

    def submit(self) -> None:
        """The line is at its end; it stays where it is wrong."""
        if self._note():
            text, earlier = self.query_one(_Answer).value.strip(), self._question.earlier
            if text and earlier[-1:] != [text]:
                earlier.append(text)
            self.close()
            self.post_message(self.Answered(self._question, text))

    def _note(self) -> bool:
        """Show what is wrong with what was typed; whether nothing is."""
        note = self.query_one("#prompt-note", Static)
        try:
            self._question.check(self.query_one(_Answer).value.strip())
        except (LspTapError, OSError) as error:
            note.update(Text(one_line(_explain(error), 300), style="bold"))
            note.add_class("wrong")
            return False
        note.update(Text(self._question.hint))
        note.remove_class("wrong")
        return True


def _explain(error: LspTapError | OSError) -> str:
    """Short, since what was typed stands above it."""
    if isinstance(error, BadFilter):
        return f"{error.reason} (character {error.position + 1})"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
