"""Commands that look at LSP traffic."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

import click

from lsp_tap.cli.options import (
    complete_words,
    dir_option,
    find_folder,
    json_option,
    open_redactor,
    print_json,
    redact_option,
)

_EXPORT_FORMATS = ("lsp-recorder", "lsp-devtools", "inspector", "raw", "har", "chrome", "otlp")
_IMPORT_FORMATS = ("lsp-recorder", "lsp-devtools", "raw")


@click.command()
@click.argument("words", nargs=-1, metavar="[CAPTURE]... [FILTER]...", shell_complete=complete_words)
@click.option("-f", "--follow", is_flag=True, help="Follow every live tap of the project, or the captures.")
@click.option("-n", "--last", type=click.IntRange(0), help="Only the last so many [default: all; with -f 10].")
@click.option("-v", "--verbose", is_flag=True, help="Whole messages, below their lines.")
@click.option("-r", "--relative", is_flag=True, help="Seconds since the first line instead of the time of day.")
@click.option("--format", "template", metavar="TEMPLATE", help="Lines by a template, as '{time} {method}'.")
@dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@click.pass_context
def log(
    context: click.Context,
    words: tuple[str, ...],
    follow: bool,
    last: int | None,
    verbose: bool,
    relative: bool,
    template: str | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Show LSP traffic, one line a message, answers with what they answer and how long they took.

    CAPTURE is a journal, a folder of journals, a session's id or the beginning of one, or `last`; without any it is
    all that is recorded in the logs folder.

    \b
    FILTER, after mitmproxy's (quote it, for the shell):
      ~m GLOB     method (of an answer: its request's)    ~d c2s | s2c   direction
      ~s GLOB     server                                  ~u GLOB        document, or its end: cart.py
      ~k KIND     request notification response error stderr invalid event
      ~i ID       request id                              ~l >200ms      latency (< <= > >=; us ms s)
      ~t GLOB     tool call, by id or tool                ~session GLOB  session
      ~b REGEX    body                                    word, "words"  text in method, document or body
      ~p          the tap's own requests                  ~all           everything
      !x  x & y  x y  x | y  (x)

    \b
    TEMPLATE has fields in braces, with a format as Python has it ({method:<30} {latency_ms:.1f}):
      time iso seconds time_us server direction arrow kind method id latency_ms bytes probe uri summary
      calls session body journal seq
    """
    from lsp_tap.inspect.log_output import Wanted, follow_log, print_log

    wanted = Wanted(words, find_folder(folder), last, verbose, relative, template, as_json)
    if not follow:
        print_log(wanted, lambda problem: click.echo(f"lsp-tap: {problem}", err=True))
        return
    with suppress(KeyboardInterrupt):
        follow_log(wanted)
    context.exit(130)


@click.command()
@click.argument("words", nargs=-1, metavar="[CAPTURE]... [FILTER]...", shell_complete=complete_words)
@dir_option
def inspect(words: tuple[str, ...], folder: Path | None) -> None:
    """Look at LSP traffic full-screen, recorded or live: messages, bodies, answers, tool calls, and how the diagnostics
    of a document came to be.

    CAPTURE and FILTER as in `lsp-tap log`; `?` shows the keys. Without a CAPTURE, taps that start meanwhile join in.
    """
    from lsp_tap.inspect.screen.command import inspect_words

    inspect_words(words, find_folder(folder))


@click.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=complete_words)
@dir_option
@json_option
def stats(captures: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Count LSP traffic: by server and method with latencies, how soon diagnostics came after an edit, and what each
    tool call waited for, or did not.

    CAPTURE as in `lsp-tap log`. Percentiles are nearest ranks, in milliseconds.
    """
    from rich.console import Console

    from lsp_tap.inspect.stats import fold_stats
    from lsp_tap.inspect.stats_tables import print_stats
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, find_folder(folder))
    with Console(stderr=True).status("reading") as status:
        fold, problems = fold_stats(capture, lambda count: status.update(f"reading: {count} messages"))
    for problem in problems:
        click.echo(f"lsp-tap: {problem}", err=True)
    if as_json:
        print_json(fold.to_json())
    else:
        print_stats(open_console(), fold.to_json())


@click.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=complete_words)
@click.option("--to", "format_name", required=True, type=click.Choice(_EXPORT_FORMATS), help="The format.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to [default: standard output].")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server (may be repeated).")
@click.option(
    "--probe-messages/--no-probe-messages",
    default=None,
    help="What the tap asked for itself [default: in har, chrome and otlp, marked; not in the others].",
)
@redact_option
@dir_option
def export(
    captures: tuple[str, ...],
    format_name: str,
    output: Path | None,
    servers: tuple[str, ...],
    probe_messages: bool | None,
    redact: bool,
    folder: Path | None,
) -> None:
    """Write LSP traffic in another tool's format. CAPTURE as in `lsp-tap log`.

    \b
      lsp-recorder  crtschin/lsp-recorder's trace, version 1
      lsp-devtools  the SQLite file that `lsp-devtools inspect` opens (-o FILE)
      inspector     the text log of Microsoft's LSP inspector
      raw           the bytes of each direction, and their times (-o FOLDER)
      har           HAR 1.2, for mitmproxy and HAR viewers
      chrome        Chrome's trace events, for ui.perfetto.dev
      otlp          OpenTelemetry spans, as JSON lines

    Secrets, user names and home paths are replaced unless you say --no-redact. What was replaced, and what a format has
    no place for, is counted on standard error.
    """
    from lsp_tap.export.formats import describe_left_out, export_capture
    from lsp_tap.export.redacted import find_directories, redact_capture
    from lsp_tap.inspect.terminal import one_line
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, find_folder(folder))
    redactor = open_redactor(find_folder(folder), find_directories(capture)) if redact else None
    if redactor is None:
        click.echo("lsp-tap: --no-redact: secrets, user names and home paths are exported as recorded", err=True)
    with redact_capture(capture, redactor) if redactor else nullcontext(capture) as wanted:
        left_out = export_capture(wanted, format_name, output, servers=servers, probe_messages=probe_messages)
    replaced = describe_left_out(redactor.report, "replaced") if redactor else None
    for line in filter(None, (left_out, replaced)):
        click.echo(f"lsp-tap: {one_line(line, 1000)}", err=True)


@click.command("import")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option("--from", "format_name", type=click.Choice(_IMPORT_FORMATS), help="The format [default: by its look].")
@dir_option
def import_(path: Path, format_name: str | None, folder: Path | None) -> None:
    """Turn another tool's recording into a journal, for `log`, `stats`, `inspect` and the rest.

    FILE is a trace of lsp-recorder, a database of lsp-devtools 0.4, or one of the files (or the folder) that
    `export --to raw` writes; raw frames of other origin are called NAME.client_to_server.lsp and
    NAME.server_to_client.lsp.
    """
    from lsp_tap.export.formats import describe_left_out, import_recording

    imported = import_recording(path, format_name, find_folder(folder))
    left_out = describe_left_out(imported.left_out, "not imported")
    for line in (*imported.notes, *filter(None, [left_out])):
        click.echo(f"lsp-tap: {line}", err=True)
    for journal in imported.journals:
        click.echo(journal)


@click.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...", shell_complete=complete_words)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="A journal, or a .zip for several."
)
@dir_option
@json_option
def share(captures: tuple[str, ...], output: Path, folder: Path | None, as_json: bool) -> None:
    """Write a bundle that is safe to attach to a bug report: paths, identifiers, strings and texts get pseudonyms.

    The same thing has the same pseudonym in all of the bundle. Lengths, lines and positions stay, as do the protocol's
    own words, keywords, numbers of up to four digits, the names that client and server give themselves, and the sources
    and codes of diagnostics. CAPTURE as in `lsp-tap log`; sessions are not in the bundle.
    """
    from rich.console import Console

    from lsp_tap.export.formats import describe_left_out
    from lsp_tap.export.share import share_capture
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, find_folder(folder))
    with Console(stderr=True).status("sharing"):
        shared = share_capture(capture, output)
    left_out = describe_left_out(shared.left_out, "not in the bundle")
    if left_out:
        click.echo(f"lsp-tap: {left_out}", err=True)
    if as_json:
        print_json({"file": str(output), **shared.to_json()})
        return
    counted = ", ".join(f"{count} {kind}" for kind, count in shared.strings.most_common())
    recordings = "1 recording" if shared.journals == 1 else f"{shared.journals} recordings"
    click.echo(f"{output}: {recordings}, {shared.words} words under pseudonyms")
    click.echo(f"strings replaced: {counted or 'none'}")
