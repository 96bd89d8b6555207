"""Commands that play recordings again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lsp_tap.cli.options import complete_words, dir_option, find_folder, json_option, print_json


@click.command()
@click.argument("capture", shell_complete=complete_words)
@click.argument("command", nargs=-1, required=True, metavar="-- SERVER [ARG]...", type=click.UNPROCESSED)
@click.option("--server", metavar="NAME", help="Which server's connection, where the capture has several.")
@click.option(
    "--speed",
    type=click.Choice(["fast", "real"]),
    default="fast",
    show_default=True,
    help="As fast as what the client had heard before each message allows, or at the recorded distances.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="The project's folder now [default: the recorded one, or one with the documents as they were opened].",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds an answer may take.",
)
@click.option(
    "--slower-than",
    type=click.FloatRange(min=1.0),
    metavar="RATIO",
    help="A 95th percentile that grew by more is a difference, too [default: latencies are only shown].",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Keep the new traffic as a journal."
)
@dir_option
@json_option
@click.pass_context
def replay(
    context: click.Context,
    capture: str,
    command: tuple[str, ...],
    server: str | None,
    speed: Literal["fast", "real"],
    root: Path | None,
    timeout_s: float,
    slower_than: float | None,
    output: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Play the client's side of a recording against a server, and show what it says otherwise.

    CAPTURE as in `lsp-tap log`; it must hold one connection (or --server says which). SERVER is run behind the tap, in
    the recorded folder or the one that stands for it. Its requests get the recorded answers. Compared are the
    diagnostics on every text, the answer to every request, and which messages came at all; what no two runs have in
    common (progress, logs, tokens, the order of what has none) is left aside.

    A bundle of `lsp-tap share` is played like any other. Its names are pseudonyms, so expect other messages, and errors
    at names that stand for something outside of the project (builtins, packages, commands).

    Exit code: 0 no difference; 1 a difference, or the server crashed or did not answer; 2 nothing could be played.
    """
    from lsp_tap.inspect.differences import print_replayed, show_progress
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.journal.capture import open_capture
    from lsp_tap.playback.conversation import choose_connection
    from lsp_tap.playback.latencies import Slower
    from lsp_tap.playback.replay import Options, run_replay

    journal = choose_connection(open_capture([capture], find_folder(folder)), server)
    slower = Slower(slower_than) if slower_than is not None else None
    with show_progress() as on_step:
        replayed = run_replay(journal, command, Options(root, speed, timeout_s, output, slower), on_step)
    if as_json:
        print_json(replayed.to_json())
    else:
        print_replayed(open_console(), replayed)
    context.exit(1 if replayed.is_different else 0)


@click.command()
@click.argument("capture", shell_complete=complete_words)
@click.option("--server", metavar="NAME", help="Which server's connection, where the capture has several.")
@click.option(
    "--latency",
    type=click.Choice(["none", "recorded"]),
    default="none",
    show_default=True,
    help="Answer at once, or after the time the recorded server took.",
)
@dir_option
@click.pass_context
def serve(
    context: click.Context, capture: str, server: str | None, latency: Literal["none", "recorded"], folder: Path | None
) -> None:
    """Be the recorded server: a mock language server on standard input and output, for tests of clients.

    CAPTURE as in `lsp-tap log`; it must hold one connection (or --server says which). A request gets the recorded
    answer to the same request, else to the nearest one on the same document, else an error. What the server said by
    itself follows the message that caused it. Paths are those of the client's project.
    """
    from lsp_tap.journal.capture import open_capture
    from lsp_tap.playback.conversation import choose_connection
    from lsp_tap.playback.serve import run_server

    context.exit(run_server(choose_connection(open_capture([capture], find_folder(folder)), server), latency))


@click.command()
@click.argument("a", shell_complete=complete_words)
@click.argument("b", shell_complete=complete_words)
@click.option("--responses", is_flag=True, help="Compare the answers to requests, too.")
@click.option(
    "--slower-than",
    type=click.FloatRange(min=1.0),
    default=1.5,
    show_default=True,
    metavar="RATIO",
    help="How much larger a 95th percentile of B's must be to count as slower.",
)
@click.option(
    "--floor",
    "floor_ms",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    metavar="MS",
    help="And by how many milliseconds at least.",
)
@click.option(
    "--samples",
    "min_samples",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="With fewer answers on a side it is unknown whether a method is slower.",
)
@dir_option
@json_option
@click.pass_context
def diff(
    context: click.Context,
    a: str,
    b: str,
    responses: bool,
    slower_than: float,
    floor_ms: float,
    min_samples: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Compare two captures: diagnostics on the same texts, slower requests, messages.

    A and B as CAPTURE in `lsp-tap log`. Servers are paired by name, documents by their path in the project, edits by
    the texts they made. B must say all that A said of a text; more is no difference.

    Exit code: 0 the same; 1 different: diagnostics gone, new or reworded, texts that only one was sent, a message that
    only one server has, a crash, a slower method, with --responses an answer; 2 there is nothing to compare.
    """
    from lsp_tap.errors import UsageError
    from lsp_tap.inspect.differences import print_difference
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.journal.capture import open_capture
    from lsp_tap.playback.diff import compare_captures
    from lsp_tap.playback.latencies import Slower

    place = find_folder(folder)
    captures = open_capture([a], place), open_capture([b], place)
    if not all(capture.taps for capture in captures):
        raise UsageError("a capture without language servers has nothing to compare")
    difference = compare_captures(*captures, responses=responses, slower=Slower(slower_than, floor_ms, min_samples))
    if as_json:
        print_json(difference.to_json())
    else:
        print_difference(open_console(), difference, a, b)
    context.exit(1 if difference.is_different else 0)
