"""Sessions: what an agent did, and what that did to the diagnostics. Knows journals, and no client by name.

    recording    a folder of journals, folded, and folded on as they grow: those that are needed (`scope`), told apart
                 where process ids repeat (`processes`), at the times they should have (`clocks`)
    history      the client's records -> messages and calls; what went into calls and came out is packed (`packing`)
    attribution  which call wrote which document version
    ownership    the timeline's steps, each with its call
    turns        what a person asked, and all that was done about it
    measuring    steps by call and by turn, over all servers
    sums         adding them up
    scoring      success, its reasons, three scores; by `mending` (is the task to mend errors?), `commands` (what tests
                 and builds came to) and `rewards` (of single steps)
    outcomes     verdict and numbers; which turns are examples
    memo         what was computed before and holds still: a session that goes on is not measured and built anew
    build        all of that -> the models of the session and training files
    models       these files
    writer       writing them
    loading      reading them, and the older layouts: a row a turn
    rescoring    old recordings by the rules of now; `judging` does it to what is on disk
    numbers      which of the numbers in them can have been counted or measured
    repo         the repository as a turn finds it (the only GitPython import); `observing` journals it

What surprised: a turn's numbers are not the sum of its edits' numbers (an error may come and go in between), only their
nets add up. Nothing may be read from the file system after the fact, or the same journals would give other files. And
what takes memory is not what is folded but how it is kept: a pydantic record is a kilobyte around thirty bytes.
"""
