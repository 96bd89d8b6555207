"""The command line: arguments, printing, exit codes. No logic; each command imports what it needs when it runs.

One module a family of commands: `recording`, `sessions`, `traffic`, `training`; what they share is in `options`.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from lsp_tap._version import __version__
from lsp_tap.cli import dataset, playback, recording, sessions, traffic, training
from lsp_tap.errors import LspTapError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lsp-tap")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Record what a coding agent and its language servers say, and compute which LSP errors every edit cleared and
    introduced.

    Shell completion: eval "$(_LSP_TAP_COMPLETE=bash_source lsp-tap)" (or zsh_source, fish_source).
    """


for command in (
    *(recording.run, recording.init, recording.doctor, recording.write, recording.demo, recording.observe),
    *(sessions.sessions, sessions.show, sessions.verify, sessions.score, sessions.report, sessions.schema),
    *(traffic.log, traffic.inspect, traffic.stats, traffic.export, traffic.import_, traffic.share),
    *(playback.replay, playback.serve, playback.diff),
    dataset.dataset,
    training.optimize,
):
    cli.add_command(command)


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
