"""The line codec of a tap's journal: bytes off the wire -> the fields of one record, as JSON text. Pure,
standard library.

A JSON body is embedded verbatim, not re-serialised, so a number or a key order is in the journal as it was
on the wire, and so that encoding costs one validation. What validation must catch is everything that would
break the *line*, for the strictest reader: Python's parser takes `NaN`, jq's and JavaScript's do not.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

GATHER_BYTES = 1 << 18
"""Bodies up to here are embedded whole; larger ones follow in parts, so that nobody has to hold 64 MiB to
write a line, nor the interpreter for as long as it takes to check them.
"""

PART_BYTES = 1 << 16
"""A part's size. The tap holds one part at a time, and a frame's header says how many there will be."""

_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_RARE_CONTROLS = bytes(code for code in range(0x20) if code not in b"\n\t\r")
_MAX_DIGITS = 4300  # of an integer that Python's parser takes by default


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_loads = json.JSONDecoder(parse_constant=_refuse_constant).decode

# Takes the same texts and builds next to nothing: objects and numbers become True or False as they end.
_check = json.JSONDecoder(
    object_pairs_hook=bool, parse_int=bool, parse_float=bool, parse_constant=_refuse_constant
).decode


def parse_json(text: str) -> tuple[object, str | None]:
    """The value, and None; or None, and why `text` is no JSON (RFC 8259) that every reader can take."""
    return _apply(_loads, text)


def check_json(body: bytes, text: str) -> str | None:
    """Why `text`, which is `body` decoded, is no JSON that every reader can take. Holds no value of it."""
    if len(body) > _MAX_DIGITS and b"0" * (_MAX_DIGITS + 1) in body.translate(_DIGITS_TO_ZERO):
        return parse_json(text)[1]
    return _apply(_check, text)[1]


def _apply(decode: Callable[[str], object], text: str) -> tuple[object, str | None]:
    try:
        return decode(text), None
    except RecursionError:
        return None, "nested too deeply"
    except json.JSONDecodeError as error:
        return None, f"{error.msg} at character {error.pos}"
    except ValueError as error:  # a constant, or an integer of more digits than Python converts
        return None, str(error).partition(";")[0]


def encode_fields(fields: dict[str, object]) -> bytes:
    """`"a":1,"b":"x"`: fields without the braces. A lone surrogate becomes its JSON escape."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]
    return text.encode("utf-8", "backslashreplace")


def encode_line(seq: int, time_us: int, monotonic_us: int, kind: str, fields: bytes) -> bytes:
    """One line of a journal. `fields` comes from `encode_fields` or `encode_frame`."""
    start = f'{{"seq":{seq},"time_us":{time_us},"monotonic_us":{monotonic_us},"kind":"{kind}"'
    return b"".join((start.encode(), b"," if fields else b"", fields, b"}\n"))


def _encode_frame_fields(direction: str, header: bytes, body_length: int, probe: bool) -> bytes:
    fields = b'"direction":"%s","raw_length":%d' % (direction.encode(), len(header) + body_length)
    if probe:
        fields += b',"probe":true'
    if header != b"Content-Length: %d\r\n\r\n" % body_length:
        # Every byte is a character of Latin-1, so the block survives whatever it is.
        fields += b"," + encode_fields({"header": header.decode("latin-1")})
    return fields


def encode_frame(
    direction: str,
    header: bytes,
    body: bytes,
    *,
    probe: bool = False,
    value_is_wanted: bool = True,
    shorten: Callable[[object, bytes], tuple[bytes, bytes]] | None = None,
) -> tuple[bytes, object]:
    """The fields of a `frame` whose body is here whole, and the message (None when it is not JSON or not wanted).

    In the fields `message` comes last and is the body's own bytes, but for what `shorten` (`Shortener.shorten`) leaves
    out of a wanted one.
    """
    fields = _encode_frame_fields(direction, header, len(body), probe)
    try:
        text = body.decode()
    except UnicodeDecodeError as undecodable:
        odd: dict[str, object] = {
            "body_base64": _encode_base64(body),
            "error": f"not UTF-8 at byte {undecodable.start}",
        }
        return b"%s,%s" % (fields, encode_fields(odd)), None
    json_text = text.removeprefix("\ufeff")
    value, error = parse_json(json_text) if value_is_wanted else (None, check_json(body, json_text))
    if error is not None:
        return b"%s,%s" % (fields, encode_fields({"body": text, "error": error})), None
    message = body
    if json_text is not text or b"\n" in body or b"\r" in body:
        # Valid JSON has no raw line break inside a string, so blanks change nothing that means anything.
        message = json_text.encode().translate(_LINE_BREAKS)
        fields += b"," + encode_fields({"body": text})
    elif shorten is not None and value_is_wanted:
        document, message = shorten(value, body)
        fields = document + fields
    return b'%s,"message":%s' % (fields, message), value


def count_parts(body_length: int) -> int:
    return -(-body_length // PART_BYTES)


def encode_frame_head(direction: str, header: bytes, body_length: int, *, probe: bool = False) -> bytes:
    """The fields of a `frame` whose body follows as `count_parts(body_length)` records."""
    fields = _encode_frame_fields(direction, header, body_length, probe)
    return b'%s,"body_parts":%d' % (fields, count_parts(body_length))


def encode_part(of: int, part: int, data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return encode_fields({"of": of, "part": part} | _text_or_base64(data))
    return b'"of":%d,"part":%d,"text":%s' % (of, part, quote(data))


def quote(data: bytes) -> bytes:
    """UTF-8 as a JSON string: what `json.dumps` writes, in steps that each hold the interpreter for a fraction of its
    time, since it is the wire that waits for it."""
    if len(data.translate(None, _RARE_CONTROLS)) != len(data):
        return json.dumps(data.decode(), ensure_ascii=False).encode()
    escaped = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for control, escape in ((b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r")):
        if control in escaped:
            escaped = escaped.replace(control, escape)
    return b'"%s"' % escaped


def encode_invalid(direction: str, data: bytes, reason: str) -> bytes:
    fields: dict[str, object] = {"direction": direction, "raw_length": len(data)}
    return encode_fields(fields | _text_or_base64(data) | {"reason": reason})


def _text_or_base64(data: bytes) -> dict[str, object]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": _encode_base64(data)}


def _encode_base64(data: bytes) -> str:
    from base64 import b64encode  # hardly ever needed, and a quarter of a megabyte

    return b64encode(data).decode()


def decode_part(text: str | None, base64: str | None) -> bytes:
    """The bytes of a `body_part` or `invalid` record."""
    if text is not None:
        return text.encode("utf-8", "surrogatepass")
    from base64 import b64decode

    return b64decode(base64 or "")


def split_character(data: bytes) -> int:
    """How many bytes of `data` to write so that no UTF-8 character is cut: at most three fewer than all of
    them.
    """
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte < 0x80:
            return len(data)
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if back >= needed else len(data) - back
    return len(data)
