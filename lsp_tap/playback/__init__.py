"""Recordings played again: the client's side against a server, the server's side as a mock, one against another.

    conversation  one recorded connection as messages that know each other: what all of the following reads
    roots         pure: the project's folder in messages, put in another place
    normal        pure: what makes two messages say the same
    causality     pure: what a client had heard before it spoke
    answers       pure: what a client answers to a server's requests
    handed        pure: what a server gives to be given back
    process       anyio: a server behind a tap, messages in and out
    player        anyio: the recorded client against that
    replay        the folder it takes place in, the player, and what the new tap recorded compared with the old
    compare       pure: where two connections differ;  latencies  pure: which answers came later
    diff          two captures, connection by connection
    mock          pure: the recorded server;  serve  anyio: that on standard input and output

A replay is a journal like any other, so that a replay and a diff are one comparison.
"""
