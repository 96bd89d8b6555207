"""The journal: the one interface between recorders and everything that looks at recordings. `FORMAT.md`
specifies it.

`lines` and `writer` use the standard library only, because the tap imports them; `records` (typed,
pydantic) and `reader` are for everyone else; `place` finds the folder for both.
"""
