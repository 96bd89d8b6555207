"""The command line: arguments, printing, exit codes. No logic; each command imports what it needs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lsp_tap._version import __version__
from lsp_tap.errors import LspTapError

if TYPE_CHECKING:
    from lsp_tap.session.build import Builder

Command = TypeVar("Command", bound=Callable[..., Any])

_EXPORT_FORMATS = ("lsp-recorder", "lsp-devtools", "inspector", "raw", "har", "chrome", "otlp")
_IMPORT_FORMATS = ("lsp-recorder", "lsp-devtools", "raw")


def _dir_option(command: Command) -> Command:
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        help="The logs folder [default: $LSP_TAP_DIR, else the nearest .opencode-logs upward].",
    )(command)


def _json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lsp-tap")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Record what a coding agent and its language servers say, and compute which LSP errors every edit cleared and
    introduced.

    Shell completion: eval "$(_LSP_TAP_COMPLETE=bash_source lsp-tap)" (or zsh_source, fish_source).
    """


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--name ID] [--dir DIR] [--no-probe] -- SERVER ARG..."
)
def run(arguments: tuple[str, ...]) -> None:
    """Stand between a client and the language server SERVER, and journal what both say."""
    from lsp_tap.tap.command import run_command

    raise SystemExit(run_command(list(arguments)))  # `lsp-tap run` itself never comes by here: see __main__


@cli.command()
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("--all", "everything", is_flag=True, help="All recorded sessions (the same as naming none).")
@_dir_option
@_json_option
def write(sessions: tuple[str, ...], everything: bool, folder: Path | None, as_json: bool) -> None:
    """(Re)compute session and training files from the journals."""
    from lsp_tap.config import read_settings
    from lsp_tap.inspect.terminal import clean
    from lsp_tap.journal.retention import Limits
    from lsp_tap.session.writer import write_sessions

    if sessions and everything:
        raise click.UsageError("name sessions or give --all, not both")
    place = _existing_folder(folder)
    settings = read_settings(place)
    written = write_sessions(
        place,
        sessions or None,
        settle_limit_s=settings.settle_limit_s,
        history_limit=settings.history_limit,
        limits=Limits.of(days=settings.keep_days, mb=settings.keep_mb, plain_days=settings.plain_days),
    )
    rows = [
        {
            "session": item.session.session_id,
            "success": item.session.outcome.success,
            "sessionFile": str(item.session_path),
            "trainingFile": str(item.training_path) if item.training_path else None,
            "kept": item.is_kept,
        }
        for item in written
    ]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        kept = " (as it was: its journals were pruned)" if row["kept"] else ""
        click.echo(f"{clean(row['sessionFile'])}{kept}")
        click.echo(clean(row["trainingFile"] or f"no training file: no turn of {row['session']} was a success"))
    if not rows:
        click.echo(f"nothing recorded in {place}", err=True)


@cli.command()
@_dir_option
@_json_option
def sessions(folder: Path | None, as_json: bool) -> None:
    """List the recorded sessions."""
    from lsp_tap.inspect.sessions import print_sessions, summarise_session
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.session.writer import SessionPruned, read_session

    place = _existing_folder(folder)
    builder, ids = _open_recording(place)
    built = []
    for session_id in ids:
        with suppress(SessionPruned):
            built.append(read_session(place, builder, session_id))
    if as_json:
        _print_json([summarise_session(session) for session in built])
    elif built:
        print_sessions(open_console(), built)
    else:
        click.echo(f"nothing recorded in {place}", err=True)


@cli.command()
@click.argument("session")
@_dir_option
@_json_option
def show(session: str, folder: Path | None, as_json: bool) -> None:
    """Show one session: what every edit cleared, introduced and left, and why its turns count as successes or not.

    SESSION is an id, the beginning of one, or `last`.
    """
    from lsp_tap.inspect.sessions import print_session
    from lsp_tap.inspect.terminal import clean_json, open_console
    from lsp_tap.session.writer import encode_json, find_session, read_session

    place = _existing_folder(folder)
    builder, ids = _open_recording(place)
    built = read_session(place, builder, find_session(session, ids, place))
    if as_json:
        click.echo(clean_json(encode_json(built).decode()), nl=False)
    else:
        print_session(open_console(), built)


@cli.command()
@click.argument("session")
@click.option(
    "--timeout",
    "limit_s",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds a server gets to say all after each change.",
)
@_dir_option
@_json_option
def verify(session: str, limit_s: float, folder: Path | None, as_json: bool) -> None:
    """Measure a session again: replay its texts through fresh servers, and fill in baselines nobody saw.

    SESSION is an id, the beginning of one, or `last`. The recorded server commands are run, in the folders they ran in;
    files that nobody opened are read as they are today. `write` and `show` use the result.
    """
    from lsp_tap.inspect.verification import print_commands, print_verified, show_progress
    from lsp_tap.verification.verify import plan_verification, run_verification

    place = _existing_folder(folder)
    verified = plan_verification(place, session)
    if not verified.servers:
        raise click.ClickException(f"no language server looked at a file of {verified.session_id}: nothing to measure")
    print_commands(verified, to_stderr=as_json)
    with show_progress(verified) as on_step:
        run_verification(place, verified, limit_s=limit_s, on_step=on_step)
    if as_json:
        _print_json(verified.as_json())
    else:
        print_verified(verified)
    failed = [f"{server.plan.name}: {server.failure}" for server in verified.servers if server.failure]
    if failed:
        raise click.ClickException(f"could not be measured: {'; '.join(failed)}")


@cli.command()
@click.option("--global", "global_", is_flag=True, help="Wire your global OpenCode configuration instead.")
@click.option("--remove", is_flag=True, help="Take the wiring out again; recordings stay.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@_json_option
def init(global_: bool, remove: bool, dry_run: bool, as_json: bool) -> None:
    """Wire this project into OpenCode: its language servers through the tap, and the plugin."""
    from lsp_tap.inspect.wiring import describe_plan, print_plan
    from lsp_tap.wiring.init import apply, plan_init, plan_remove

    plan = (plan_remove if remove else plan_init)(Path.cwd(), global_=global_)
    if not dry_run:
        apply(plan)
    if as_json:
        _print_json(describe_plan(plan, applied=not dry_run))
    else:
        print_plan(plan, removed=remove, applied=not dry_run)


def _complete_words(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from lsp_tap.inspect.completion import complete_word

    found = complete_word(context.params.get("words") or (), incomplete, _find_folder(context.params.get("folder")))
    return [CompletionItem(value, help=text) for value, text in found] or [CompletionItem(incomplete, type="file")]


@cli.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=_complete_words)
@_dir_option
@_json_option
def doctor(captures: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Check the whole chain, and say how to mend what is broken. With a CAPTURE, say what is wrong in the recording.

    CAPTURE as in `lsp-tap log`. The exit code is 1 when a check fails or a finding is an error.
    """
    from lsp_tap.inspect.wiring import print_check
    from lsp_tap.wiring.doctor import diagnose

    if captures:
        _examine(captures, folder, as_json)
        return
    checks = diagnose(Path.cwd(), on_check=(lambda check: None) if as_json else print_check)
    if as_json:
        _print_json([check.to_json() for check in checks])
    failed = sum(check.status == "fail" for check in checks)
    if failed:
        raise click.ClickException(f"{failed} of {len(checks)} checks failed")


def _examine(captures: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from lsp_tap.inspect.findings_output import examine_capture, print_findings
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, _find_folder(folder))
    with Console(stderr=True).status("reading"):
        groups = examine_capture(capture)
    if as_json:
        _print_json([group.to_json() for group in groups])
    else:
        print_findings(capture, groups)
    errors = sum(group.count for group in groups if group.severity == "error")
    if errors:
        raise click.ClickException(f"{errors} errors found" if errors > 1 else "1 error found")


@cli.command()
@click.option(
    "--project", type=click.Path(path_type=Path, file_okay=False), help="An empty folder [default: a new one]."
)
def demo(project: Path | None) -> None:
    """Run the whole chain on a small broken project: real OpenCode, real language server, scripted model."""
    import tempfile

    from lsp_tap.inspect.sessions import print_session
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.session.writer import write_sessions
    from lsp_tap.wiring.demo import run_demo

    place = project or Path(tempfile.mkdtemp(prefix="lsp-tap-demo-"))
    done = run_demo(place.resolve(), lambda line: click.echo(line, err=True))
    (written,) = write_sessions(done.logs, [done.session_id], settle_limit_s=10)
    print_session(open_console(), written.session)
    click.echo()
    click.echo(f"client    {done.client}")
    click.echo(f"server    {done.server}")
    click.echo(f"session   {written.session_path}")
    click.echo(f"training  {written.training_path or 'none: no turn was a success'}")
    click.echo(f"journals  {done.logs / 'tap'}")
    if written.training_path is None:
        raise click.ClickException("the demo's turn should have been a success")


@cli.command()
@click.argument("words", nargs=-1, metavar="[CAPTURE]... [FILTER]...", shell_complete=_complete_words)
@click.option("-f", "--follow", is_flag=True, help="Follow every live tap of the project, or the captures.")
@click.option("-n", "--last", type=click.IntRange(0), help="Only the last so many [default: all; with -f 10].")
@click.option("-v", "--verbose", is_flag=True, help="Whole messages, below their lines.")
@click.option("-r", "--relative", is_flag=True, help="Seconds since the first line instead of the time of day.")
@click.option("--format", "template", metavar="TEMPLATE", help="Lines by a template, as '{time} {method}'.")
@_dir_option
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

    wanted = Wanted(words, _find_folder(folder), last, verbose, relative, template, as_json)
    if not follow:
        print_log(wanted, lambda problem: click.echo(f"lsp-tap: {problem}", err=True))
        return
    with suppress(KeyboardInterrupt):
        follow_log(wanted)
    context.exit(130)


@cli.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=_complete_words)
@_dir_option
@_json_option
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

    capture = open_capture(captures, _find_folder(folder))
    with Console(stderr=True).status("reading") as status:
        fold, problems = fold_stats(capture, lambda count: status.update(f"reading: {count} messages"))
    for problem in problems:
        click.echo(f"lsp-tap: {problem}", err=True)
    if as_json:
        _print_json(fold.to_json())
    else:
        print_stats(open_console(), fold.to_json())


@cli.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=_complete_words)
@click.option("--to", "format_name", required=True, type=click.Choice(_EXPORT_FORMATS), help="The format.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to [default: standard output].")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only this server (may be repeated).")
@click.option(
    "--probe-messages/--no-probe-messages",
    default=None,
    help="What the tap asked for itself [default: in har, chrome and otlp, marked; not in the others].",
)
@_dir_option
def export(
    captures: tuple[str, ...],
    format_name: str,
    output: Path | None,
    servers: tuple[str, ...],
    probe_messages: bool | None,
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

    What a format has no place for is counted on standard error.
    """
    from lsp_tap.export.formats import export_capture
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, _find_folder(folder))
    left_out = export_capture(capture, format_name, output, servers=servers, probe_messages=probe_messages)
    if left_out:
        click.echo(f"lsp-tap: {left_out}", err=True)


@cli.command("import")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option("--from", "format_name", type=click.Choice(_IMPORT_FORMATS), help="The format [default: by its look].")
@_dir_option
def import_(path: Path, format_name: str | None, folder: Path | None) -> None:
    """Turn another tool's recording into a journal, for `log`, `stats`, `inspect` and the rest.

    FILE is a trace of lsp-recorder, a database of lsp-devtools 0.4, or one of the files (or the folder) that
    `export --to raw` writes; raw frames of other origin are called NAME.client_to_server.lsp and
    NAME.server_to_client.lsp.
    """
    from lsp_tap.export.formats import describe_left_out, import_recording

    imported = import_recording(path, format_name, _find_folder(folder))
    left_out = describe_left_out(imported.left_out, "not imported")
    for line in (*imported.notes, *filter(None, [left_out])):
        click.echo(f"lsp-tap: {line}", err=True)
    for journal in imported.journals:
        click.echo(journal)


@cli.command()
@click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...", shell_complete=_complete_words)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="A journal, or a .zip for several."
)
@_dir_option
@_json_option
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

    capture = open_capture(captures, _find_folder(folder))
    with Console(stderr=True).status("sharing"):
        shared = share_capture(capture, output)
    left_out = describe_left_out(shared.left_out, "not in the bundle")
    if left_out:
        click.echo(f"lsp-tap: {left_out}", err=True)
    if as_json:
        _print_json({"file": str(output), **shared.to_json()})
        return
    counted = ", ".join(f"{count} {kind}" for kind, count in shared.strings.most_common())
    recordings = "1 recording" if shared.journals == 1 else f"{shared.journals} recordings"
    click.echo(f"{output}: {recordings}, {shared.words} words under pseudonyms")
    click.echo(f"strings replaced: {counted or 'none'}")


@cli.command()
@click.argument("file", type=click.Choice(["journal", "session", "training"]))
def schema(file: str) -> None:
    """Print the JSON Schema of a file: a line of a journal, session-<id>.json, or dspy-<id>.json (training)."""
    from lsp_tap.journal.records import journal_schema
    from lsp_tap.session.models import SessionFile, TrainingFile

    if file == "journal":
        _print_json(journal_schema())
    else:
        _print_json((SessionFile if file == "session" else TrainingFile).model_json_schema())


@cli.command(hidden=True)
@click.option("--session", required=True)
@click.option("--message", required=True)
@_dir_option
def observe(session: str, message: str, folder: Path | None) -> None:
    """Journal the state of the project as a turn starts. The plugin calls it."""
    from lsp_tap.session.observing import write_observation

    write_observation(_find_folder(folder), Path.cwd(), session, message)


def _open_recording(place: Path) -> tuple[Builder, list[str]]:
    """A builder for all that is recorded, and the sessions' ids in the order they were last heard of."""
    from lsp_tap.config import read_settings
    from lsp_tap.inspect.terminal import one_line
    from lsp_tap.session.build import Builder
    from lsp_tap.session.recording import read_recording

    recording = read_recording(place)
    for path, problem in recording.problems:
        place_text = f"{path.name}:{problem.line}: {problem.reason}: {problem.detail}"
        click.echo(f"lsp-tap: {one_line(place_text)}", err=True)
    if recording.dropped:
        click.echo(f"lsp-tap: {recording.dropped} records were lost while recording", err=True)
    found = recording.history.sessions
    ids = sorted(found, key=lambda session_id: (found[session_id].last_us, session_id))
    limit = read_settings(place).history_limit
    return Builder(recording.history, recording.timelines, recording.verifications, history_limit=limit), ids


def _find_folder(folder: Path | None) -> Path:
    from lsp_tap.journal.place import find_folder

    return Path(find_folder(str(folder) if folder else None))


def _existing_folder(folder: Path | None) -> Path:
    place = _find_folder(folder)
    if not (place / "tap").is_dir():
        raise click.ClickException(f"no recordings in {place}: run `lsp-tap init` in the project, or give --dir")
    return place


def _print_json(value: Any) -> None:
    from lsp_tap.inspect.terminal import clean_json

    click.echo(clean_json(json.dumps(value, ensure_ascii=False, indent=2)))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code. Errors are one line on stderr, tracebacks only with --debug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if "--debug" in arguments[:1]:
        return int(cli.main(arguments, prog_name="lsp-tap", standalone_mode=False) or 0)
    try:
        return int(cli.main(arguments, prog_name="lsp-tap", standalone_mode=False) or 0)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "lsp-tap"
        return _fail(f"{error.format_message()} (see {command} --help)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 1)
    except LspTapError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # The reader of our output has had enough, as `| head` has. Nothing may be flushed into it at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _fail(reason: str, exit_code: int) -> int:
    from lsp_tap.inspect.terminal import one_line

    click.echo(f"lsp-tap: {one_line(reason, 1000)}", err=True)
    return exit_code
