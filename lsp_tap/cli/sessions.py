"""Commands about recorded sessions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from lsp_tap.cli.options import dir_option, existing_folder, json_option, open_recording, print_json


@click.command()
@dir_option
@json_option
def sessions(folder: Path | None, as_json: bool) -> None:
    """List the recorded sessions."""
    from lsp_tap.inspect.sessions import print_sessions, summarise_session
    from lsp_tap.inspect.terminal import open_console
    from lsp_tap.session.writer import SessionPruned, read_session

    place = existing_folder(folder)
    builder, ids = open_recording(place)
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
    builder, ids = open_recording(place)
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
@click.argument("file", type=click.Choice(["journal", "session", "training"]))
def schema(file: str) -> None:
    """Print the JSON Schema of a file: a line of a journal, session-<id>.json, or dspy-<id>.json (training)."""
    from lsp_tap.journal.records import journal_schema
    from lsp_tap.session.models import SessionFile, TrainingFile

    if file == "journal":
        print_json(journal_schema())
    else:
        print_json((SessionFile if file == "session" else TrainingFile).model_json_schema())
