"""The wire, pure and on the standard library: bytes -> frames -> JSON-RPC messages -> exchanges.

framing     LSP base protocol: bytes in, events out; every byte that goes in comes out again in an event
messages    parsed JSON -> Request, Notification, Response
exchanges   requests paired with their responses, both directions at once
"""
