"""A peer that sends back every byte it gets, as it gets it."""

import os

while data := os.read(0, 65536):
    while data:
        data = data[os.write(1, data) :]
