"""Opens a database in lsp-devtools' own inspector, without a terminal: what its table then shows, as JSON."""

import asyncio
import json
import sys
from pathlib import Path

from lsp_devtools.cli.inspector import LSPInspector
from lsp_devtools.handlers.sql import SqlHandler
from textual.widgets import DataTable, Tree


async def read_database(path: Path) -> dict[str, object]:
    handler = SqlHandler(path)
    app = LSPInspector(db=handler)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        table = app.query_one("MessageBrowser > DataTable", DataTable)
        rows = [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]
        for _ in rows:  # every message, so that each of them is drawn
            await pilot.press("down")
        payload = [str(node.label) for node in app.query_one(Tree).root.children]
    return {"rows": rows, "last_payload": payload, "methods": handler.get_method_names()}


sys.stdout.write(json.dumps(asyncio.run(read_database(Path(sys.argv[1])))))
