"""A peer that will not go: ignores SIGTERM and the end of its input. Says its pid first.

Words: `deaf` never reads; `child` starts another one like it in the group, which holds the output open, and exits
itself when its input ends; `loud` writes to standard output for ever.
"""

import os
import select
import signal
import subprocess
import sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
words = sys.argv[1:]
if "child" in words:
    child = subprocess.Popen([sys.executable, "-I", __file__, "silent"], stdin=subprocess.DEVNULL)
    os.write(1, b"%d %d\n" % (os.getpid(), child.pid))
elif "silent" not in words:
    os.write(1, b"%d\n" % os.getpid())
while True:
    if "loud" in words:
        os.write(1, b"x" * 1000)
    if "deaf" in words or "silent" in words:
        signal.pause()
    elif not os.read(0, 65536):
        if "child" in words:
            sys.exit(3)
        select.select([], [], [], 0.05 if "loud" in words else None)
