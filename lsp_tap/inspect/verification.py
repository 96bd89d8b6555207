"""A verification for a person: what is run, how far it is, and where recorded and verified numbers differ."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lsp_tap.inspect.terminal import one_line, open_console, styled
from lsp_tap.session.attribution import find_path
from lsp_tap.verification.compare import Comparison, Numbers
from lsp_tap.verification.verify import Verified, VerifiedServer

PATIENCE_S: Final = 2.0
_STYLES: Final = {"same": "green", "filled": "cyan", "differs": "bold yellow"}


def print_commands(verified: Verified, *, to_stderr: bool) -> None:
    """What is about to be started, before it is."""
    console = Console(stderr=True, highlight=False, soft_wrap=True) if to_stderr else open_console()
    for server in verified.servers:
        command = one_line(shlex.join(server.client.command), 1000)
        console.print(styled(f"verify runs: {command}  (in {one_line(server.plan.root, 1000)})"))


@contextmanager
def show_progress(verified: Verified) -> Iterator[Callable[[VerifiedServer], None]]:
    """A bar a server on a terminal's stderr, from the third second on. Yields what to call after each step."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks = {
        id(server): progress.add_task(one_line(server.plan.name, 40), total=1 + len(server.plan.moves))
        for server in verified.servers
    }
    timer = threading.Timer(PATIENCE_S, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda server: progress.advance(tasks[id(server)])
    finally:
        timer.cancel()
        timer.join()
        progress.stop()


def print_verified(verified: Verified) -> None:
    console = open_console()
    for server in verified.servers:
        _print_server(console, server)
    for number, compared in enumerate(verified.turns, 1):
        console.print()
        _print_comparison(console, f"Turn {number}", compared.turn)
        for edit in compared.edits:
            title = one_line(" ".join([edit.tool or "", *edit.files]))
            _print_comparison(console, f"  {title}", edit)
    console.print()
    console.print(styled("Files that nobody opened were read as they are on the disk today.", "dim"))


def _print_server(console: Console, server: VerifiedServer) -> None:
    name = one_line(server.plan.name, 60)
    if server.replayed is None:
        console.print(styled(f"{name}: not measured: {one_line(server.failure or '')}", "red"))
        return
    opened, changed = _count(len(server.plan.openings), "document"), _count(len(server.plan.moves), "change")
    console.print(styled(f"{name}: {opened} opened, {changed} replayed in {server.replayed.duration_s:.1f} s"))
    for uri in server.replayed.silent:
        console.print(styled(f"  it said nothing of {one_line(find_path(uri))}, which nobody changed", "yellow"))
    for reason in server.plan.unrepeatable:
        console.print(styled(f"  cannot be had again: {one_line(reason)}", "yellow"))
    if server.plan.unrepeatable:
        console.print(styled("  so the recorded numbers stay; below is what was measured", "yellow"))


def _print_comparison(console: Console, title: str, compared: Comparison) -> None:
    agreement = compared.agreement
    console.print(styled(f"{title}  "), end="")
    console.print(Text(agreement, _STYLES[agreement]), end="")
    if agreement == "same":
        console.print(Text(f"  {_describe(compared.verified)}", "dim"))
        return
    console.print()
    console.print(f"    recorded  {_describe(compared.recorded)}")
    console.print(f"    verified  {_describe(compared.verified)}")
    if agreement == "differs":
        for who, found in (("recorded", compared.only_recorded), ("verified", compared.only_verified)):
            for at, finding in found:
                place = f"{finding.file}:{finding.line}:{finding.column} {one_line(finding.message)}"
                console.print(styled(f"    only {who}, {at}: {place}"))


def _describe(numbers: Numbers) -> str:
    if numbers.before is None:
        return f"before unknown; {numbers.freshness}"
    return (
        f"errors {numbers.before} → {numbers.after}: {numbers.cleared} cleared, {numbers.introduced} introduced; "
        f"baseline {numbers.baseline}, {numbers.freshness}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
