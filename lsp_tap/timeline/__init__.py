"""The timeline: what servers said of documents, as data. Pure; it knows LSP and no client.

    texts        lines and positions as LSP counts them; an open document
    ranges       changes of a part of one
    diagnostics  one diagnostic, in positions that do not depend on the encoding
    fold         a server's records -> changes (document versions) and reports, on one axis
    linemap      where a line of an older text stands in a newer one
    identity     which diagnostic of one report is which of the next
    states       reports -> what was known of each document, at any moment
    steps        changes and states -> what each thing that happened cleared and introduced; goes on as a timeline grows
    span         a run of steps -> what it cleared and introduced as a whole
    clearance    whether that was a fix, a suppression, or a deletion

What surprised: a report describes a moment that is not the one it arrives at (`fold`), and belongs to a change that may
not be the last one before it (`steps`). And most of the work of telling "cleared" from "moved" is a line diff, not the
comparison of diagnostics.
"""
