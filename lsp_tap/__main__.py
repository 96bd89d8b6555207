"""The entry point. `run` has a way of its own: a client waits for it, and everything else imports a command
line.
"""

from __future__ import annotations

import sys


def main() -> None:
    if sys.argv[1:2] == ["run"]:
        from os import _exit

        from lsp_tap.tap.command import run_command

        # Pumps may be blocked in a read that nothing will ever end.
        _exit(run_command(sys.argv[2:]))
    from lsp_tap.cli import main as run_cli

    sys.exit(run_cli())


if __name__ == "__main__":
    main()
