"""Commands that learn from recordings."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_tap.cli.options import find_folder, json_option, print_json

if TYPE_CHECKING:
    from lsp_tap.training.running import Report

OPTIMISERS = ("labeled", "bootstrap", "random", "mipro", "copro", "simba", "gepa")


def read_budget(value: str) -> str | int:
    """`light`, `medium`, `heavy`, or a number of predictions."""
    if value in ("light", "medium", "heavy"):
        return value
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither light, medium, heavy nor a number of predictions")
    return int(value)


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--student", required=True, help="The model to optimise for, by its LiteLLM name, such as openai/gpt-5.")
@click.option("--teacher", help="The model that proposes and demonstrates [default: the student].")
@click.option("--student-api-base", help="Where the student is served, such as http://127.0.0.1:11434/v1.")
@click.option("--teacher-api-base", help="Where the teacher is served [default: as the student, if it is the teacher].")
@click.option("--optimizer", type=click.Choice(OPTIMISERS), default="mipro", show_default=True, help="Which of DSPy's.")
@click.option("--layout", type=click.Choice(["task", "step"]), default="task", show_default=True,
              help="What an example is: a whole turn, or a step of one.")  # fmt: skip
@click.option("--budget", type=read_budget, default="light", show_default=True, metavar="BUDGET",
              help="light, medium, heavy, or about how many predictions may be scored.")  # fmt: skip
@click.option("--name", default="optimised", show_default=True, help="The name of the agent.")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Where the files go [default: lsp-tap-NAME].")  # fmt: skip
@click.option("--install", is_flag=True, help="Write the agent into this project's .opencode/agent, too.")
@click.option("--even-if-no-better", is_flag=True, help="Export the prompt also if it scores no better than before.")
@click.option("--held-out", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.25, show_default=True,
              help="Share of the examples that only measure.")  # fmt: skip
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True), default=0.25, show_default=True,
              help="Share of the examples that candidates are compared on.")  # fmt: skip
@click.option("--min-score", type=click.FloatRange(0, 1), help="Learn from turns with at least this correctness.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.7, show_default=True,
              help="The score from which on an answer of the teacher is a demonstration.")  # fmt: skip
@click.option("--demonstrations", type=click.IntRange(0), default=4, show_default=True, help="How many at most.")
@click.option("--threads", type=click.IntRange(1), default=4, show_default=True, help="How many predictions at a time.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another one splits otherwise.")
@click.option("--no-cache", is_flag=True, help="Ask the models again for what they answered before.")
@click.option("--no-redact", is_flag=True, help="Send secrets, user names and home paths of the recordings to the "
              "models, and write them into the files.")  # fmt: skip
@json_option
def optimize(sources: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Optimise a prompt with DSPy on recorded turns, and export what OpenCode can use of it.

    SOURCE is a session or training file, a folder or project with such, or a pattern [default: this project's
    .opencode-logs]. The student is measured before and after on examples that nobody learned from, kept apart by
    repository or session. Keys of models come from LiteLLM's environment variables. Needs lsp-tap[dspy].
    """
    from lsp_tap.training.optimising import Model, Plan
    from lsp_tap.training.running import Output, run_optimisation

    if options["held_out"] + options["validation"] >= 1:
        raise click.UsageError("--held-out and --validation together leave nothing to learn from")
    cache = not options["no_cache"]
    student = Model(options["student"], options["student_api_base"], cache=cache)
    teacher = Model(options["teacher"], options["teacher_api_base"], cache=cache) if options["teacher"] else None
    shared = ("layout", "budget", "threshold", "demonstrations", "held_out", "validation", "threads", "seed")
    plan = Plan(student, teacher, options["optimizer"], **{name: options[name] for name in shared})
    output = Output(
        options["folder"] or Path(f"lsp-tap-{options['name']}"),
        options["name"],
        Path.cwd() if options["install"] else None,
        options["even_if_no_better"],
    )
    with _Progress() as progress:
        report = run_optimisation(
            sources or [str(find_folder(None))],
            plan,
            output,
            min_score=options["min_score"],
            environment=None if options["no_redact"] else os.environ,
            on_step=progress.show,
        )
    _print(report, as_json)


def _print(report: Report, as_json: bool) -> None:
    from lsp_tap.inspect.terminal import one_line

    for unread in report.unread:
        click.echo(f"lsp-tap: {one_line(unread)}", err=True)
    if as_json:
        print_json(report.results | {"files": [str(path) for path in report.files]})
        return
    split, result = report.result.split, report.result
    click.echo(
        f"{len(split.train)} examples to learn from, {len(split.validation)} to compare on, {len(split.held_out)} held "
        f"out; split by {split.by}"
    )
    failed = f" ({result.optimised.failed} answers could not be read)" if result.optimised.failed else ""
    click.echo(f"held-out score: {result.baseline.mean:.3f} before, {result.optimised.mean:.3f} optimised{failed}")
    if not report.is_exported:
        click.echo("no better than before: the prompt is not exported (--even-if-no-better does)")
    for path in report.files:
        click.echo(one_line(path))
    if report.is_exported:
        click.echo(f'try it: opencode run --agent {report.results["name"]} "..."')


class _Progress:
    """What is being done and how many predictions were scored, on a terminal."""

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:.0f} predictions"))
        self._bar = Progress(
            *columns, TimeElapsedColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty()
        )
        self._bar.start()
        self._tasks: dict[str, Any] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, phase: str, count: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=None)
        self._bar.update(self._tasks[phase], completed=count)
