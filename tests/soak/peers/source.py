"""A server that writes frames as fast as they are taken. `source.py COUNT SIZE PROGRESS`: how many, how long the text
in each is, and the file whose size tells how many it got rid of.
"""

import os
import sys

count, size = int(sys.argv[1]), int(sys.argv[2])
progress = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for number in range(count):
    body = b'{"jsonrpc":"2.0","method":"m","params":{"number":%d,"text":"%s"}}' % (number, b"x" * size)
    data = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    while data:
        data = data[os.write(1, data) :]
    os.write(progress, b".")
os.close(1)
while os.read(0, 65536):
    pass
