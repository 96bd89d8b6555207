"""Commands that record, and set recording up."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_tap.cli.options import complete_words, dir_option, existing_folder, find_folder, json_option, print_json

if TYPE_CHECKING:
    from lsp_tap.session.writer import WrittenSession


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument(
    "arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--name ID] [--dir DIR] [--no-probe] -- SERVER ARG..."
)
def run(arguments: tuple[str, ...]) -> None:
    """Stand between a client and the language server SERVER, and journal what both say."""
    from lsp_tap.tap.command import run_command

    raise SystemExit(run_command(list(arguments)))  # `lsp-tap run` itself never comes by here: see __main__


@click.command()
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("--all", "everything", is_flag=True, help="All recorded sessions (the same as naming none).")
@click.option(
    "--follow", is_flag=True, help="Stay, and write each session named in a line of standard input, until its end."
)
@dir_option
@json_option
def write(sessions: tuple[str, ...], everything: bool, follow: bool, folder: Path | None, as_json: bool) -> None:
    """(Re)compute session and training files from the journals."""
    from lsp_tap.config import read_settings
    from lsp_tap.journal.retention import Limits
    from lsp_tap.session.scope import Scope
    from lsp_tap.session.writer import SessionWriter, spare_collector

    if everything and (sessions or follow):
        raise click.UsageError(
            "name sessions or give --all, not both" if sessions else "give --all or --follow, not both"
        )
    spare_collector()
    if follow:
        _follow(sessions, find_folder(folder), as_json)
        return
    place = existing_folder(folder)
    settings = read_settings(place)
    written = SessionWriter(place, scope=Scope() if sessions else None).write(
        sessions or None,
        settle_limit_s=settings.settle_limit_s,
        history_limit=settings.history_limit,
        thresholds=settings,
        limits=Limits.of(settings),
    )
    rows = list(map(_describe, written))  # of a year of sessions there is one at a time in memory
    if as_json:
        print_json(rows)
        return
    for row in rows:
        _print_row(row)
    if not rows:
        click.echo(f"nothing recorded in {place}", err=True)


def _describe(item: WrittenSession) -> dict[str, Any]:
    return {
        "session": item.session.session_id,
        "success": item.session.outcome.success,
        "sessionFile": str(item.session_path),
        "trainingFile": str(item.training_path) if item.training_path else None,
        "kept": item.is_kept,
    }


def _print_row(row: dict[str, Any]) -> None:
    from lsp_tap.inspect.terminal import clean

    kept = " (as it was: its journals were pruned)" if row["kept"] else ""
    click.echo(f"{clean(row['sessionFile'])}{kept}")
    click.echo(clean(row["trainingFile"] or f"no training file: no turn of {row['session']} was a success"))


def _follow(sessions: tuple[str, ...], place: Path, as_json: bool) -> None:
    from lsp_tap.errors import complain
    from lsp_tap.session.following import follow_sessions

    def tell(item: WrittenSession) -> None:
        if as_json:
            click.echo(json.dumps(_describe(item)))
        else:
            _print_row(_describe(item))

    failed = follow_sessions(place, sys.stdin.fileno(), sessions, tell, complain)
    if failed:
        raise click.ClickException(
            f"{failed} sessions could not be written" if failed > 1 else "a session could not be written"
        )


@click.command()
@click.option("--global", "global_", is_flag=True, help="Wire your global OpenCode configuration instead.")
@click.option("--remove", is_flag=True, help="Take the wiring out again; recordings stay.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@json_option
def init(global_: bool, remove: bool, dry_run: bool, as_json: bool) -> None:
    """Wire this project into OpenCode: its language servers through the tap, and the plugin."""
    from lsp_tap.inspect.wiring import describe_plan, print_plan
    from lsp_tap.wiring.init import apply, plan_init, plan_remove

    plan = (plan_remove if remove else plan_init)(Path.cwd(), global_=global_)
    if not dry_run:
        apply(plan)
    if as_json:
        print_json(describe_plan(plan, applied=not dry_run))
    else:
        print_plan(plan, removed=remove, applied=not dry_run)


@click.command()
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", shell_complete=complete_words)
@dir_option
@json_option
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
        print_json([check.to_json() for check in checks])
    failed = sum(check.status == "fail" for check in checks)
    if failed:
        raise click.ClickException(f"{failed} of {len(checks)} checks failed")


def _examine(captures: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from lsp_tap.inspect.findings_output import examine_capture, print_findings
    from lsp_tap.journal.capture import open_capture

    capture = open_capture(captures, find_folder(folder))
    with Console(stderr=True).status("reading"):
        groups = examine_capture(capture)
    if as_json:
        print_json([group.to_json() for group in groups])
    else:
        print_findings(capture, groups)
    errors = sum(group.count for group in groups if group.severity == "error")
    if errors:
        raise click.ClickException(f"{errors} errors found" if errors > 1 else "1 error found")


@click.command()
@click.option(
    "--project", type=click.Path(path_type=Path, file_okay=False), help="An empty folder [default: a new one]."
)
def demo(project: Path | None) -> None:
    """Run the whole chain on a small broken project: real OpenCode, real language server, scripted model."""
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


@click.command(hidden=True)
@click.option("--session", required=True)
@click.option("--message", required=True)
@dir_option
def observe(session: str, message: str, folder: Path | None) -> None:
    """Journal the state of the project as a turn starts. The plugin calls it."""
    from lsp_tap.session.observing import write_observation

    write_observation(find_folder(folder), Path.cwd(), session, message, environment=os.environ)
