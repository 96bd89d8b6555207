"""Commands that make datasets of recorded sessions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_tap.cli.options import json_option, print_json, redact_option

if TYPE_CHECKING:
    from lsp_tap.dataset.build import Note
    from lsp_tap.dataset.options import Privacy, Selection, Summary

_FORMATS = ("jsonl", "parquet", "hf", "openai", "trl", "trl-stepwise", "trl-kto", "atif", "hf-traces")
_DATE = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.group()
def dataset() -> None:
    """Make datasets of recorded sessions, and count what is in them."""


@dataset.command("build")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.option("-o", "--output", required=True, metavar="OUT", help="A new folder, or the URI of one.")
@click.option(
    "--to", "format_name", type=click.Choice(_FORMATS), default="jsonl", show_default=True, help="The format."
)
@click.option("--success", "outcome", flag_value="success", default=True, help="Only successful turns (the default).")
@click.option("--failed", "outcome", flag_value="failed", help="Only turns that failed.")
@click.option("--all", "outcome", flag_value="all", help="Turns that failed, too.")
@click.option("--min-score", type=click.FloatRange(0, 1), metavar="X", help="Only turns of at least this correctness.")
@click.option("--server", "servers", multiple=True, metavar="NAME", help="Only turns this server judged (repeatable).")
@click.option(
    "--language", "languages", multiple=True, metavar="NAME", help="Only turns in this language (repeatable)."
)
@click.option("--agent", "agents", multiple=True, metavar="NAME", help="Only turns of this agent (repeatable).")
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Only of this model; its provider may be left out."
)
@click.option("--since", type=_DATE, metavar="DATE", help="Only turns from then on (UTC).")
@click.option("--until", type=_DATE, metavar="DATE", help="Only turns before then (UTC).")
@click.option(
    "--similarity",
    type=click.FloatRange(0.5, 1),
    default=0.9,
    show_default=True,
    metavar="X",
    help="Turns at least this alike are one; 1: only equal ones.",
)
@click.option(
    "--splits",
    default="train=0.8,validation=0.1,test=0.1",
    show_default=True,
    metavar="NAME=SHARE,...",
    help="All turns of a repository go to one of these.",
)
@click.option("--seed", default="", metavar="TEXT", help="Another seed puts repositories in other splits.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This machine, or the Ray cluster that RAY_ADDRESS names.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes on this machine [default: its processors]."
)
@redact_option
@json_option
def build(
    sources: tuple[str, ...],
    output: str,
    format_name: str,
    splits: str,
    seed: str,
    engine: str,
    similarity: float,
    workers: int | None,
    redact: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Make a dataset of the turns in SRC: projects, logs folders, session files, globs, or URIs (s3://bucket/logs).

    \b
      jsonl         all columns, a line a turn
      parquet       the same as a table
      hf            a Hugging Face dataset: Parquet and a card
      openai        OpenAI's fine-tuning files: messages and tools
      trl           TRL's: messages, and tools as JSON text
      trl-stepwise  TRL's stepwise supervision: an edit a step, labelled by the LSP errors
      trl-kto       TRL's unpaired preference: labelled by success (give --all)
      atif          ATIF trajectories, a line a turn
      hf-traces     the Hub's session traces, a file a turn
    """
    from lsp_tap.dataset.build import build_dataset
    from lsp_tap.dataset.options import Options
    from lsp_tap.dataset.splitting import parse_splits

    _require("duckdb", "pyarrow", "datasketch")
    options = Options(
        format=format_name,
        selection=_select(filters),
        privacy=_open_privacy(redact),
        similarity=similarity,
        splits=parse_splits(splits),
        seed=seed,
        engine="ray" if engine == "ray" else "local",
        workers=workers,
    )
    if not redact:
        click.echo(f"lsp-tap: --no-redact: secrets, user names and home paths go to {output} as recorded", err=True)
    with _progress() as note:
        summary = build_dataset(sources, output, options, note)
    for unread in summary.unread:
        click.echo(f"lsp-tap: not read: {unread}", err=True)
    if summary.unread_count > len(summary.unread):
        click.echo(f"lsp-tap: and {summary.unread_count - len(summary.unread)} more were not read", err=True)
    if as_json:
        print_json({"output": output, "format": format_name, **summary.to_json()})
    else:
        _print_summary(summary, output)


def _select(filters: Mapping[str, Any]) -> Selection:
    from lsp_tap.dataset.options import Selection

    return Selection(
        outcome=filters["outcome"],
        least_score=filters["min_score"],
        servers=frozenset(filters["servers"]),
        languages=frozenset(name.lower() for name in filters["languages"]),
        agents=frozenset(filters["agents"]),
        models=frozenset(filters["models"]),
        since=_in_utc(filters["since"]),
        until=_in_utc(filters["until"]),
    )


def _in_utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _open_privacy(redact: bool) -> Privacy:
    """With what this process knows: its own secrets, its user, and the key of the marks in recordings."""
    from lsp_tap.dataset.options import Privacy
    from lsp_tap.redaction.environment import read_key, select_known
    from lsp_tap.session.observing import KEY_FOLDER

    if not redact:
        return Privacy(redact=False)
    try:
        key = read_key(KEY_FOLDER)
    except OSError as error:
        click.echo(f"lsp-tap: values of recorded environments are not known: {KEY_FOLDER}: {error}", err=True)
        key = None
    return Privacy(environment=select_known(os.environ), key=key)


def _print_summary(summary: Summary, output: str) -> None:
    for split, count in summary.rows.items():
        click.echo(f"{split:<12} {count:>8} turns")
    for why, count in sorted(summary.left_out.items()):
        if count:
            click.echo(f"{'left out':<12} {count:>8} {why}")
    for kind, count in sorted((summary.redacted or {}).items()):
        click.echo(f"{'replaced':<12} {count:>8} {kind}")
    click.echo(output)


@dataset.command("stats")
@click.argument("sources", nargs=-1, required=True, metavar="SRC|OUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A picture as well: a page (.html) that needs nothing else, or a drawing (.svg).",
)
@json_option
def stats(sources: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Count turns, success by model, agent and language, errors cleared by rule, and tokens.

    Of session files (SRC as for `build`; all turns), or of a dataset that `build` made (jsonl, parquet or hf).
    """
    from lsp_tap.dataset.counting import count_sources
    from lsp_tap.dataset.picture import write_picture
    from lsp_tap.inspect.dataset_tables import print_counts
    from lsp_tap.inspect.terminal import open_console

    _require("pyarrow")
    with _progress() as note:
        counts = count_sources(sources, note)
    for unread in counts.unread:
        click.echo(f"lsp-tap: not read: {unread}", err=True)
    if output is not None:
        write_picture(counts, output)
    if as_json:
        print_json(counts.to_json())
    else:
        print_counts(open_console(), counts)
        if output is not None:
            click.echo(str(output))


def _require(*modules: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"{', '.join(missing)} not installed: pip install 'lsp-tap[dataset]'")


@contextmanager
def _progress() -> Iterator[Note]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda doing, done, count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading")
        yield lambda doing, done, count: progress.update(task, description=doing, completed=done, total=count)
