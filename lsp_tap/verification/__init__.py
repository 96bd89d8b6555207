"""Measuring a session again: its documents are replayed through a fresh server, and the same fold reads what it says.

    plan            pure: what was recorded -> which texts to open, and which to change in what order
    recorded_client pure: journal records -> what the client told the server of itself and of its configuration
    connection      pygls: the process of a tap and its server
    client          initialize, open, change, wait until the server has said all
    replay          runs a plan through `lsp-tap run`, so that a verification is a journal like any other
    verify          a whole session: its servers side by side, and the numbers before and after
    compare         pure: where recorded and verified numbers differ

Nothing of the project is executed but the recorded server commands, and nothing is written but
`tap/verified-*.jsonl`. Documents are sent as they were; what nobody opened is read by the servers from the disk, as it
is today.
"""
