"""Whether the terminal is gone: a window was closed, a connection was lost, and nobody sent a SIGHUP.

Textual reads on at the end of its input, with all of a processor, and would outlive whoever looked.
"""

from __future__ import annotations

import select
import sys


def is_hung_up(descriptor: int = 0) -> bool:
    """Whether nothing will ever come from the terminal again. False where a system cannot tell."""
    if sys.platform == "win32":
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # POLLHUP, POLLERR and POLLNVAL come unasked
    return bool(poll.poll(0))
