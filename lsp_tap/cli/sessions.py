"""Commands about recorded sessions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from lsp_tap.cli.options import (
    dir_option,
    existing_folder,
    json_option,
    open_redactor,
    open_sessions,
    print_json,
    redact_option,
)


@click.command()
@dir_option
@json_option
def sessions(folder: Path | None, as_json: bool) -> None:
    """List the recorded sessions."""
    from lsp_tap.inspect.sessions import print_sessions, summarise_session
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.session.writer import SessionPruned, read_session

    place = existing_folder(folder)
    _, builder, ids = open_sessions(place)
    built = []
    for session_id in ids:
        with suppress(SessionPruned):
            built.append(read_session(place, builder, session_id))
    if as_json:
        print_json([summarise_session(session) for session in built])
    elif built:
        print_sessions(open_console(), built)
    else:
        click.echo(f"nothing recorded in {place}", err=True)


@click.command()
@click.argument("session")
@dir_option
@json_option
def show(session: str, folder: Path | None, as_json: bool) -> None:
    """Show one session: what every edit cleared, introduced and left, and why its turns count as successes or not.

    SESSION is an id, the beginning of one, or `last`.
    """
    from lsp_tap.inspect.sessions import print_session
    from lsp_tap.inspect.terminal import clean_json, open_console
    from lsp_tap.session.writer import encode_json, find_session, read_session

    place = existing_folder(folder)
    _, builder, ids = open_sessions(place, [session])
    built = read_session(place, builder, find_session(session, ids, place))
    if as_json:
        click.echo(clean_json(encode_json(built).decode()), nl=False)
    else:
        print_session(open_console(), built)


@click.command()
@click.argument("session")
@click.option(
    "--timeout",
    "limit_s",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds a server gets to say all after each change.",
)
@dir_option
@json_option
def verify(session: str, limit_s: float, folder: Path | None, as_json: bool) -> None:
    """Measure a session again: replay its texts through fresh servers, and fill in baselines nobody saw.

    SESSION is an id, the beginning of one, or `last`. The recorded server commands are run, in the folders they ran in;
    files that nobody opened are read as they are today. `write` and `show` use the result.
    """
    from lsp_tap.inspect.verification import print_commands, print_verified, show_progress
    from lsp_tap.verification.verify import plan_verification, run_verification

    place = existing_folder(folder)
    verified = plan_verification(place, session)
    if not verified.servers:
        raise click.ClickException(f"no language server looked at a file of {verified.session_id}: nothing to measure")
    print_commands(verified, to_stderr=as_json)
    with show_progress(verified) as on_step:
        run_verification(place, verified, limit_s=limit_s, on_step=on_step)
    if as_json:
        print_json(verified.as_json())
    else:
        print_verified(verified)
    failed = [f"{server.plan.name}: {server.failure}" for server in verified.servers if server.failure]
    if failed:
        raise click.ClickException(f"could not be measured: {'; '.join(failed)}")


@click.command()
@click.argument("session")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="Where to [default: report-<id>.html in the logs folder].",
)
@redact_option
@dir_option
@json_option
def report(session: str, output: Path | None, redact: bool, folder: Path | None, as_json: bool) -> None:
    """Write a session as one HTML page that needs nothing else: its timeline, every edit with its diff and what that
    cleared and introduced, the slowest requests.

    SESSION is an id, the beginning of one, or `last`. The page loads nothing from anywhere. Secrets, user names and
    home paths are replaced unless you say --no-redact.
    """
    from lsp_tap.export.formats import describe_left_out
    from lsp_tap.inspect.terminal import clean, one_line
    from lsp_tap.report import write_report
    from lsp_tap.session.writer import find_session

    place = existing_folder(folder)
    recording, builder, ids = open_sessions(place, [session])
    session_id = find_session(session, ids, place)
    redactor = open_redactor(place) if redact else None
    path = write_report(place, recording, builder, session_id, output, redact=redactor.text if redactor else None)
    if redactor is None:
        click.echo("lsp-tap: --no-redact: the page shows secrets, user names and home paths as recorded", err=True)
    elif replaced := describe_left_out(redactor.report, "replaced"):
        click.echo(f"lsp-tap: {one_line(replaced, 1000)}", err=True)
    if as_json:
        print_json({"session": session_id, "file": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(clean(path))


@click.command()
@click.argument("sessions_or_files", nargs=-1, metavar="[SESSION|FILE]...")
@click.option("--write", is_flag=True, help="Replace the session and training files with what is computed now.")
@dir_option
@json_option
def score(sessions_or_files: tuple[str, ...], write: bool, folder: Path | None, as_json: bool) -> None:
    """Judge recordings again by the rules and thresholds of now, and show what changes.

    SESSION is an id, the beginning of one, or `last`; without any, all recorded sessions. Sessions are computed from
    their journals where those are there, else from their files. FILE is a session or training file (also one of the
    older layouts), a folder of such, or a pattern.
    """
    from lsp_tap.inspect.scores import list_scores, print_scores
    from lsp_tap.inspect.terminal import one_line, open_console
    from lsp_tap.session.judging import Judged, judge_files, judge_recorded
    from lsp_tap.session.writer import find_session

    files = [name for name in sessions_or_files if "/" in name or name.endswith(".json") or Path(name).exists()]
    named = [name for name in sessions_or_files if name not in files]
    judged = judge_files(files, write=write) if files else Judged()
    if named or not files:
        place = existing_folder(folder)
        _, builder, ids = open_sessions(place, named)
        wanted = [find_session(name, ids, place) for name in named] or ids
        recorded = judge_recorded(place, builder, wanted, write=write)
        judged = Judged(*(getattr(recorded, name) + getattr(judged, name) for name in ("turns", "written", "unread")))
    if as_json:
        print_json(list_scores(judged))
    else:
        print_scores(open_console(), judged)
        for path in judged.written:
            click.echo(one_line(path))
    for unread in judged.unread:
        click.echo(f"lsp-tap: {one_line(unread, 1000)}", err=True)
    if judged.unread and not judged.turns:
        raise click.ClickException("nothing could be read")


@click.command()
@click.argument("file", type=click.Choice(["journal", "session", "training"]))
def schema(file: str) -> None:
    """Print the JSON Schema of a file: a line of a journal, session-<id>.json, or dspy-<id>.json (training)."""
    from lsp_tap.journal.records import journal_schema
    from lsp_tap.session.models import SessionFile, TrainingFile

    if file == "journal":
        print_json(journal_schema())
    else:
        print_json((SessionFile if file == "session" else TrainingFile).model_json_schema())
