"""Captures in the formats of other tools, and theirs as journals. One module a format, which knows both ways.

`formats` has the table and the one function that owns the output; the modules only produce. `traffic` is what they
read: the frames of a capture with their exact bytes, by time.

| format | of the tap's own requests | one connection |
|---|---|---|
| `lsp-recorder`, `inspector` | left out: these are what client and server said | yes |
| `lsp-devtools`, `raw` | left out | no: a session, or a pair of files, for each |
| `har`, `chrome`, `otlp` | in, and marked: they took the server's time | no |
"""
