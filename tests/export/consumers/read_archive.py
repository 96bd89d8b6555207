"""Reads a HAR file with mitmproxy's importer: its flows, as JSON."""

import json
import sys
from pathlib import Path

from mitmproxy.io.har import request_to_flow

flows = []
for entry in json.loads(Path(sys.argv[1]).read_text("utf-8"))["log"]["entries"]:
    flow = request_to_flow(entry)
    flows.append(
        {
            "path": flow.request.path,
            "status": flow.response.status_code,
            "request": flow.request.get_text(),
            "response": flow.response.get_text(),
        }
    )
sys.stdout.write(json.dumps(flows))
