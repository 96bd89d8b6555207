"""The journal: the one interface between recorders and everything that looks at recordings. `FORMAT.md`
specifies it.

`lines`, `repeats` and `writer` use the standard library only, because the tap imports them; `records` (typed,
pydantic) and `reader` are for everyone else; `place` finds the folder for both.

What surprised: clients send whole texts over and over, also where they name a range, so that most of a journal was the
same text again. Whatever is made of a line that leaves it out works on lines (`repeats`): the readers need not know.
"""
