"""The tap: a process that stands between a client and its language server and journals what they say.

    client ──stdin──> [client pump] ──> server
    client <──stdout─ [server pump] <── server          each pump: read, write to the other side, hand a
    copy on
                            │
                            └──> queue ──> [recorder] ──> journal, probe
                                             │    ^
                                             └ spool ┘   of what is too much for memory

    command     the words of `lsp-tap run`
    spawn       starting the server, and the guard that ends it should the tap be killed
    lifecycle   the main thread: waits for whichever end comes first, and ends the rest
    relay       the pumps
    gate        pure: keeps the answers to the tap's own requests from the client
    recorder    the thread that writes the journal and drives the probe
    spool       what waits on the disk for a pause in a burst
    assembler   pure: wire events -> the journal's records of them
    probe       pure: which diagnostics to ask the server for, and when

The bytes are forwarded before anything looks at them, by two threads on bare file descriptors (an event
loop would double the round trip and cost a third of a second at start). Everything else happens in one more
thread that takes its turns a few milliseconds apart, so that it hardly ever competes with the pumps for the
interpreter.

Only the standard library is imported, and as little of it as goes before the server is started.
"""
