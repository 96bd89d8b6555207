"""Recorded sessions of one or many projects -> datasets (extra `lsp-tap[dataset]`, on a cluster `lsp-tap[ray]`).

    from lsp_tap.dataset import Options, build_dataset
    summary = build_dataset(["~/shop", "~/till"], "data", Options(format="hf"))

In three passes, of which the first and the last look at one *part* (some 64 MB of session files) at a time, by a pure
function, in as many processes or on as many machines as there are:

1. `parts`: session files -> rows (`rows`), the wanted ones of them (`selecting`), without secrets
   (`lsp_tap.redaction`), each with what tells duplicates (`duplicates`) and its split (`splitting`)
2. `duplicates`: which rows to leave out; sees hashes and no texts, out of DuckDB, which spills to disk
3. `formats` and the modules of each: rows -> files, one a part and split

`engines` runs a pass: in this process, in several, or by Ray Data. `storage` is where files are. What a part comes to
depends on the part alone, and what is a duplicate on the rows' own keys: so every engine writes the same files.
"""

from lsp_tap.dataset.build import build_dataset
from lsp_tap.dataset.options import Options, Summary

__all__ = ["Options", "Summary", "build_dataset"]
