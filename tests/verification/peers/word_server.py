"""A language server to which every line with `bad` is an error. `word_server.py MANNER`.

Manners: `pull`, `registering` (pull, registered late), `busy` (pull, refuses twice), `configured` (pull; the word comes
from workspace/configuration), `push` (with versions), `plain` (push without), `silent` (never reports), `mute` (never
reports on b.py), `dying` (ends at the first change), `refusing` (initialize).
"""

import asyncio
import os
import sys
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInternalError
from pygls.lsp.server import LanguageServer

MANNER = sys.argv[1]
PULLED = MANNER in ("pull", "busy", "configured", "dying", "mute")

server = LanguageServer("words", "1", text_document_sync_kind=types.TextDocumentSyncKind.Incremental)
word = "bad"
is_configured = asyncio.Event()
refusals = 2 if MANNER == "busy" else 0


def find_errors(uri: str) -> list[types.Diagnostic]:
    lines = server.workspace.get_text_document(uri).lines
    return [
        types.Diagnostic(
            types.Range(types.Position(number, line.index(word)), types.Position(number, line.index(word) + len(word))),
            f"{line.strip()} is not good",
            severity=types.DiagnosticSeverity.Error,
            source="test",
            code="rule",
        )
        for number, line in enumerate(lines)
        if word in line
    ]


async def answer(params: types.DocumentDiagnosticParams) -> Any:
    global refusals
    if MANNER == "configured":
        await is_configured.wait()
    if refusals:
        refusals -= 1
        raise JsonRpcException("not now", -32802)
    if MANNER == "mute" and params.text_document.uri.endswith("b.py"):
        raise JsonRpcInternalError("never")
    return types.RelatedFullDocumentDiagnosticReport(items=find_errors(params.text_document.uri))


def publish(uri: str) -> None:
    if MANNER in ("push", "plain"):
        version = server.workspace.get_text_document(uri).version if MANNER == "push" else None
        found = types.PublishDiagnosticsParams(uri=uri, version=version, diagnostics=find_errors(uri))
        server.text_document_publish_diagnostics(found)


if PULLED:
    server.feature(
        types.TEXT_DOCUMENT_DIAGNOSTIC,
        types.DiagnosticOptions(identifier="words", inter_file_dependencies=False, workspace_diagnostics=False),
    )(answer)
elif MANNER == "registering":
    server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC)(answer)


if MANNER == "refusing":

    @server.feature(types.INITIALIZE)
    def refuse(params: types.InitializeParams) -> None:
        raise JsonRpcInternalError("no licence")


@server.feature(types.INITIALIZED)
async def greet(params: types.InitializedParams) -> None:
    global word
    if MANNER == "configured":
        items = [types.ConfigurationItem(scope_uri=None, section="words")]
        (settings,) = await server.workspace_configuration_async(types.ConfigurationParams(items))
        assert settings is not None
        word = settings["word"]
        is_configured.set()
    if MANNER == "registering":
        await asyncio.sleep(0.2)
        options = types.DiagnosticRegistrationOptions(
            document_selector=[types.TextDocumentFilterLanguage(language="x")],
            identifier="words",
            inter_file_dependencies=False,
            workspace_diagnostics=False,
        )
        registration = types.Registration("d", types.TEXT_DOCUMENT_DIAGNOSTIC, options)
        await server.client_register_capability_async(types.RegistrationParams([registration]))


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def opened(params: types.DidOpenTextDocumentParams) -> None:
    publish(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def changed(params: types.DidChangeTextDocumentParams) -> None:
    if MANNER == "dying":
        sys.stderr.write("words: out of memory\n")
        sys.stderr.flush()
        os._exit(3)
    publish(params.text_document.uri)


if __name__ == "__main__":
    server.start_io()
