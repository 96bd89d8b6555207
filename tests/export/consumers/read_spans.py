"""Parses OTLP JSON lines into OpenTelemetry's protobuf messages, unknown fields being errors: each span, as JSON."""

import json
import sys
from base64 import b64encode
from pathlib import Path

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData


def to_protobuf_json(value: object) -> object:
    """OTLP writes ids as hex where protobuf's JSON has Base64; nothing else differs."""
    if isinstance(value, list):
        return [to_protobuf_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: b64encode(bytes.fromhex(item)).decode() if key in ids else to_protobuf_json(item)
        for key, item in value.items()
    }


spans = []
for line in Path(sys.argv[1]).read_text("utf-8").split("\n")[:-1]:
    for resource in ParseDict(to_protobuf_json(json.loads(line)), TracesData()).resource_spans:
        service = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
        spans += [
            {
                "service": service,
                "name": span.name,
                "kind": Span.SpanKind.Name(span.kind),
                "trace": span.trace_id.hex(),
                "span": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "elapsed_us": (span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
                "status": span.status.code,
                "attributes": {item.key: item.value.string_value for item in span.attributes},
            }
            for scope in resource.scope_spans
            for span in scope.spans
        ]
sys.stdout.write(json.dumps(spans))
