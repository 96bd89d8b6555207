"""What the commands share: options, the folder they are about, JSON output."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lsp_tap.redaction import Redactor
    from lsp_tap.session.build import Builder
    from lsp_tap.session.recording import Recording

Command = TypeVar("Command", bound=Callable[..., Any])


def dir_option(command: Command) -> Command:
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The logs folder [default: $LSP_TAP_DIR, else the nearest .opencode-logs upward].",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def redact_option(command: Command) -> Command:
    return click.option(
        "--redact/--no-redact",
        default=True,
        help="Replace secrets, user names and home paths (the default), or leave all as it was recorded.",
    )(command)


def open_redactor(folder: Path, directories: Iterable[str] = ()) -> Redactor:
    """One that knows this process's secrets and user, and the values of what was recorded into the logs `folder`."""
    from lsp_tap.redaction import Redactor
    from lsp_tap.redaction.environment import select_known
    from lsp_tap.session.observing import read_marks

    try:
        marks = read_marks(folder)
    except OSError as error:
        click.echo(f"lsp-tap: values of recorded environments are not known: {error}", err=True)
        marks = None
    return Redactor(environment=select_known(os.environ), marks=marks, directories=directories)


def complete_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from lsp_tap.inspect.completion import complete_word

    found = complete_word(context.params.get("words") or (), incomplete, find_folder(context.params.get("folder")))
    return [CompletionItem(value, help=text) for value, text in found] or [CompletionItem(incomplete, type="file")]


def find_folder(folder: Path | None) -> Path:
    from lsp_tap.journal.place import find_folder

    return Path(find_folder(str(folder) if folder else None))


def existing_folder(folder: Path | None) -> Path:
    place = find_folder(folder)
    if not (place / "tap").is_dir():
        raise click.ClickException(f"no recordings in {place}: run `lsp-tap init` in the project, or give --dir")
    return place


def open_sessions(place: Path, wanted: Sequence[str] = ()) -> tuple[Recording, Builder, list[str]]:
    """What is recorded of the sessions that are wanted (ids, beginnings of ids, `last`), or of all; a builder for
    them; and ids in the order they were last heard of.
    """
    from lsp_tap.config import read_settings
    from lsp_tap.inspect.terminal import one_line
    from lsp_tap.session.build import Builder
    from lsp_tap.session.recording import read_recording
    from lsp_tap.session.scope import find_scope

    recording = read_recording(place, find_scope(place / "tap", wanted) if wanted else None)
    for path, problem in recording.problems:
        place_text = f"{path.name}:{problem.line}: {problem.reason}: {problem.detail}"
        click.echo(f"lsp-tap: {one_line(place_text)}", err=True)
    if recording.dropped:
        click.echo(f"lsp-tap: {recording.dropped} records were lost while recording", err=True)
    found = recording.history.sessions
    ids = sorted(found, key=lambda session_id: (found[session_id].last_us, session_id))
    settings = read_settings(place)
    builder = Builder(
        recording.history,
        recording.timelines,
        recording.verifications,
        history_limit=settings.history_limit,
        thresholds=settings,
    )
    return recording, builder, ids


def print_json(value: Any) -> None:
    from lsp_tap.inspect.terminal import clean_json

    click.echo(clean_json(json.dumps(value, ensure_ascii=False, indent=2)))
