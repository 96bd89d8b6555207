"""What `lsp-tap doctor CAPTURE` looks for: each rule with what it means and the place that makes it one.

Sections are those of the LSP specification 3.17
(https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/) and of JSON-RPC 2.0
(https://www.jsonrpc.org/specification).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: the specification forbids it, or something broke. `warning`: peers may stumble over it. `note`: worth
knowing, and nothing is wrong by itself."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    severity: Severity
    meaning: str
    source: str


def _index(*rules: Rule) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


RULES: Final = _index(
    Rule(
        "printed-on-stdout", "error",
        "bytes outside any message: something prints on standard output, which belongs to the protocol",
        "LSP, Base Protocol",
    ),
    Rule(
        "client-bytes-outside-messages", "error",
        "the client sent bytes that are in no message",
        "LSP, Base Protocol",
    ),
    Rule(
        "length-in-characters", "error",
        "Content-Length counts characters, and must count bytes; the end of the body is read as garbage",
        "LSP, Header Part: the length of the content part in bytes",
    ),
    Rule(
        "length-too-small", "error",
        "Content-Length is less than the body's bytes; the end of the body is read as garbage",
        "LSP, Header Part",
    ),
    Rule(
        "length-too-large", "error",
        "Content-Length is more than the body's bytes; the next message is swallowed",
        "LSP, Header Part",
    ),
    Rule("body-cut", "error", "the stream ended in the middle of a message", "LSP, Base Protocol"),
    Rule("body-not-json", "error", "a body that is not JSON", "LSP, Content Part; JSON-RPC, 5.1 (-32700)"),
    Rule(
        "not-a-message", "error",
        "JSON that is no request, response or notification (LSP has no batches)",
        "JSON-RPC, 4 and 5; LSP, Abstract Message",
    ),
    Rule("no-jsonrpc-version", "warning", 'the member "jsonrpc": "2.0" is missing', "LSP, Abstract Message"),
    Rule(
        "result-and-error", "warning",
        "an answer that has a result and an error",
        "JSON-RPC, 5: either the result or the error member must be included, but both must not",
    ),
    Rule(
        "unanswered-request", "error",
        "a request that never got an answer; who asked may wait forever",
        "LSP, Request Message: every processed request must send a response back",
    ),
    Rule(
        "pending-at-the-crash", "error",
        "a request that was waiting when the server's process died: what it was working on",
        "LSP, Request Message",
    ),
    Rule(
        "pending-at-the-end", "note",
        "a request that had no answer yet, shortly after it was sent, when the recording ended",
        "LSP, Request Message",
    ),
    Rule(
        "ignored-cancel", "error",
        "a cancelled request that never got an answer",
        "LSP, Cancellation Support: a request that got canceled still needs to return from the server",
    ),
    Rule("answer-to-nobody", "error", "an answer to an id that nobody waits for", "JSON-RPC, 5: id"),
    Rule(
        "message-not-understood", "warning",
        "an error without an id: a peer could not read a message it got",
        "JSON-RPC, 5: id is null when the request's could not be detected",
    ),
    Rule(
        "id-in-flight", "error",
        "a request whose id another one still waits under; answers cannot be told apart",
        "JSON-RPC, 4.1: id",
    ),
    Rule(
        "before-initialize", "error",
        "sent before `initialize`",
        "LSP, Initialize Request: the first request from the client to the server",
    ),
    Rule(
        "before-initialize-result", "warning",
        "sent before the answer to `initialize`",
        "LSP, Initialize Request: until the server has responded with an InitializeResult",
    ),
    Rule("initialize-twice", "error", "`initialize` sent again", "LSP, Initialize Request: only once"),
    Rule("after-shutdown", "error", "sent after `shutdown`", "LSP, Shutdown Request: no requests other than exit"),
    Rule(
        "document-not-open", "error",
        "a change, save or closing of a document that is not open",
        "LSP, Text Document Synchronization: a close or change requires a previous open",
    ),
    Rule(
        "document-opened-twice", "error",
        "an open document opened again",
        "LSP, DidOpenTextDocument: must not be sent more than once without a corresponding close",
    ),
    Rule(
        "version-not-increasing", "error",
        "a document's version that does not go up",
        "LSP, VersionedTextDocumentIdentifier: will increase after each change",
    ),
    Rule(
        "version-gap", "note",
        "a document's version that skips numbers, which is allowed; a change may be missing",
        "LSP, OptionalVersionedTextDocumentIdentifier: the number doesn't need to be consecutive",
    ),
    Rule(
        "version-unknown-to-client", "error",
        "diagnostics of a document version that was never sent",
        "LSP, PublishDiagnostics: the version number of the document the diagnostics are published for",
    ),
    Rule(
        "never-announced", "warning",
        "a request for something the server did not say it can do, neither in `initialize` nor by registering it",
        "LSP, Capabilities",
    ),
    Rule(
        "client-never-announced", "warning",
        "a request for something the client did not say it can do",
        "LSP, Capabilities",
    ),
    Rule(
        "server-failed", "error",
        "the server's process ended by itself with a signal or an exit code",
        "LSP, Exit Notification: exit with 0 if shutdown came before, otherwise with 1",
    ),
    Rule("server-left", "warning", "the server's process ended and nobody had asked it to", "LSP, Exit Notification"),
    Rule(
        "server-not-started", "error",
        "the server's command could not be run",
        "lsp_tap/journal/FORMAT.md: tap_stopped",
    ),
    Rule(
        "records-dropped", "warning",
        "records that could not be written while recording; what follows may be an effect of that",
        "lsp_tap/journal/FORMAT.md: dropped",
    ),
    Rule(
        "journal-damaged", "warning",
        "a place of the journal that cannot be read; what follows may be an effect of that",
        "lsp_tap/journal/FORMAT.md",
    ),
    Rule(
        "journal-without-end", "note",
        "the recorder did not write its end: it runs, or was killed",
        "lsp_tap/journal/FORMAT.md: tap_stopped",
    ),
)  # fmt: skip

SERVER_CAPABILITIES: Final = {
    "textDocument/completion": "completionProvider",
    "completionItem/resolve": "completionProvider",
    "textDocument/hover": "hoverProvider",
    "textDocument/signatureHelp": "signatureHelpProvider",
    "textDocument/declaration": "declarationProvider",
    "textDocument/definition": "definitionProvider",
    "textDocument/typeDefinition": "typeDefinitionProvider",
    "textDocument/implementation": "implementationProvider",
    "textDocument/references": "referencesProvider",
    "textDocument/documentHighlight": "documentHighlightProvider",
    "textDocument/documentSymbol": "documentSymbolProvider",
    "textDocument/codeAction": "codeActionProvider",
    "codeAction/resolve": "codeActionProvider",
    "textDocument/codeLens": "codeLensProvider",
    "textDocument/documentLink": "documentLinkProvider",
    "textDocument/documentColor": "colorProvider",
    "textDocument/formatting": "documentFormattingProvider",
    "textDocument/rangeFormatting": "documentRangeFormattingProvider",
    "textDocument/onTypeFormatting": "documentOnTypeFormattingProvider",
    "textDocument/rename": "renameProvider",
    "textDocument/prepareRename": "renameProvider",
    "textDocument/foldingRange": "foldingRangeProvider",
    "textDocument/selectionRange": "selectionRangeProvider",
    "textDocument/prepareCallHierarchy": "callHierarchyProvider",
    "textDocument/prepareTypeHierarchy": "typeHierarchyProvider",
    "textDocument/linkedEditingRange": "linkedEditingRangeProvider",
    "textDocument/moniker": "monikerProvider",
    "textDocument/inlayHint": "inlayHintProvider",
    "textDocument/inlineValue": "inlineValueProvider",
    "textDocument/semanticTokens/full": "semanticTokensProvider",
    "textDocument/semanticTokens/full/delta": "semanticTokensProvider",
    "textDocument/semanticTokens/range": "semanticTokensProvider",
    "textDocument/diagnostic": "diagnosticProvider",
    "workspace/diagnostic": "diagnosticProvider",
    "workspace/symbol": "workspaceSymbolProvider",
    "workspace/executeCommand": "executeCommandProvider",
}
"""A client's request, and what the server must have announced. LSP, ServerCapabilities."""

REGISTERED_AS: Final = {
    "completionItem/resolve": "textDocument/completion",
    "codeAction/resolve": "textDocument/codeAction",
    "textDocument/prepareRename": "textDocument/rename",
    "textDocument/semanticTokens/full": "textDocument/semanticTokens",
    "textDocument/semanticTokens/full/delta": "textDocument/semanticTokens",
    "textDocument/semanticTokens/range": "textDocument/semanticTokens",
    "workspace/diagnostic": "textDocument/diagnostic",
}
"""Under what a method is registered dynamically, where that is another one."""

CLIENT_CAPABILITIES: Final = {
    "workspace/configuration": ("workspace", "configuration"),
    "workspace/workspaceFolders": ("workspace", "workspaceFolders"),
    "workspace/applyEdit": ("workspace", "applyEdit"),
    "window/workDoneProgress/create": ("window", "workDoneProgress"),
    "window/showDocument": ("window", "showDocument"),
}
"""A server's request, and what the client must have announced. LSP, ClientCapabilities."""
