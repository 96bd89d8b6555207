"""For all tests."""

import os
import signal

from hypothesis import settings

# Time is no property of what is tested: a busy machine would fail tests at random. Benchmarks look at time.
settings.register_profile("lsp-tap", deadline=None)
settings.load_profile("lsp-tap")

# `lsp_tap.training` sets it, but tqdm reads it when it is imported, which an earlier test may have done.
os.environ["TQDM_DISABLE"] = "1"

# A shell that starts the tests in the background (or nohup) has them ignore these, and a tap keeps what it was given.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
