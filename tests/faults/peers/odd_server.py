"""A server that answers the first thing it hears with the bytes of two files, and then says nothing more.
`odd_server.py STDOUT STDERR`.
"""

import os
import sys
from pathlib import Path


def write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


os.read(0, 65536)
write(2, Path(sys.argv[2]).read_bytes())
write(1, Path(sys.argv[1]).read_bytes())
while os.read(0, 65536):
    pass
