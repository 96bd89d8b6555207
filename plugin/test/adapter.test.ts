import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { uptime } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import plugin from "../src/adapter.ts"
import { journalsOf, makeTemporary, readRecords, waitUntil, type Record } from "./support.ts"

process.env.LSP_TAP_COMMAND = '["true"]'
const SESSION = "ses_1"
const USER = "msg_user"
const ASSISTANT = "msg_assistant"
const hash = (text: string) => createHash("sha256").update(text).digest("hex")

async function load(options: { dir?: string } = {}) {
  const directory = makeTemporary()
  const logs = join(directory, options.dir ?? ".opencode-logs")
  const input = { directory, worktree: directory } as unknown as Parameters<typeof plugin.server>[0]
  const hooks = (await plugin.server(input, options)) as { [name: string]: (a?: unknown, b?: unknown) => Promise<void> }
  const call = (name: string, a?: unknown, b?: unknown) => (hooks[name] as (typeof hooks)[string])(a, b)
  const event = (type: string, properties: object) => call("event", { event: { id: "evt_1", type, properties } })
  const part = (fields: object) =>
    event("message.part.updated", { sessionID: SESSION, part: { sessionID: SESSION, messageID: ASSISTANT, ...fields } })
  const message = (fields: object) =>
    event("message.updated", { sessionID: SESSION, info: { sessionID: SESSION, id: ASSISTANT, role: "assistant", ...fields } })
  const records = async () => {
    await call("dispose")
    return journalsOf(logs).flatMap(readRecords)
  }
  return { directory, logs, call, event, part, message, records }
}

/** A record without what differs from run to run. */
function bare({ seq: _seq, time_us: _time, monotonic_us: _monotonic, ...fields }: Record | { [field: string]: unknown }) {
  return fields
}

const of = (kind: string, records: Record[]) => records.filter((record) => record.kind === kind).map(bare)

test("the greeting is one line of plugin.log, and the journal says who writes it where", async () => {
  const { logs, directory, event, records } = await load()
  const log = readFileSync(join(logs, "plugin.log"), "utf8")
  assert.match(log, /^\d{4}-\d\d-\d\dT[\d:.]+Z 📊 SessionLogger: Initialized \(DSPy training data format\)\n$/)
  assert.equal(statSync(join(logs, "plugin.log")).mode & 0o777, 0o600)
  await event("session.idle", { sessionID: SESSION })
  const [started] = await records()
  assert.match(started?.recorder as string, /^lsp-tap \d/)
  assert.ok(Math.abs((started?.uptime_us as number) / 1e6 - uptime()) < 60)
  assert.equal(started?.process_started_ms, performance.timeOrigin)
  assert.deepEqual(bare({ ...started, recorder: 0, process_started_ms: 0, uptime_us: 0 } as Record), {
    kind: "client_started", format: 1, process_started_ms: 0, uptime_us: 0, recorder: 0, client: { name: "opencode" }, pid: process.pid,
    directory, worktree: directory,
  })
})

test("a user's message: its words once, as they came, and who is asked", async () => {
  const { event, records } = await load()
  const info = { id: USER, role: "user", sessionID: SESSION, time: { created: 7 }, agent: "build" }
  const message = { sessionID: SESSION, info: { ...info, model: { providerID: "scripted", modelID: "m" } } }
  const part = { type: "text", text: '"fix it please"', messageID: USER, sessionID: SESSION, id: "prt_1" }
  await event("message.updated", message)
  await event("message.part.updated", { part })
  await event("message.part.updated", { part })
  await event("message.updated", { ...message, info: { ...message.info, summary: { diffs: [] } } })
  await event("message.part.updated", { part: { ...part, id: "prt_2", text: "<content>", synthetic: true } })
  await event("message.part.updated", {
    part: { id: "prt_3", messageID: USER, sessionID: SESSION, type: "file", filename: "a.png", mime: "image/png", url: `data:image/png;base64,${"A".repeat(9999)}` },
  })
  const all = await records()
  assert.deepEqual(of("message_updated", all), [
    { kind: "message_updated", session_id: SESSION, message_id: USER, role: "user", agent: "build", model: "scripted/m", created_ms: 7 },
  ])
  const ids = { kind: "text_updated", session_id: SESSION, message_id: USER, text_kind: "text" }
  assert.deepEqual(of("text_updated", all), [
    { ...ids, part_id: "prt_1", text: '"fix it please"' },
    { ...ids, part_id: "prt_2", text: "<content>", synthetic: true },
  ])
  const [attached] = of("file_attached", all)
  assert.deepEqual([attached?.filename, attached?.mime, attached?.truncated], ["a.png", "image/png", ["url"]])
  assert.equal((attached?.url as string).length, 4096)
})

test("a model's text is told when it has ended, not while it grows", async () => {
  const { part, event, message, records } = await load()
  const delta = (partID: string, text: string) =>
    event("message.part.delta", { sessionID: SESSION, messageID: ASSISTANT, partID, field: "text", delta: text })
  await part({ id: "prt_1", type: "reasoning", text: "", time: { start: 1 } })
  await delta("prt_1", "hm")
  await part({ id: "prt_1", type: "reasoning", text: "hmm", time: { start: 1, end: 2 } })
  await part({ id: "prt_2", type: "text", text: "", time: { start: 3 } })
  await delta("prt_2", "cut ")
  await delta("prt_2", "off")
  await part({ id: "prt_3", type: "text", text: "", time: { start: 3 } })
  await message({ time: { created: 1, completed: 5 }, error: { name: "MessageAbortedError", data: { message: "Aborted" } } })
  await event("session.idle", { sessionID: SESSION })
  const ids = { kind: "text_updated", session_id: SESSION, message_id: ASSISTANT }
  assert.deepEqual(of("text_updated", await records()), [
    { ...ids, part_id: "prt_1", text_kind: "reasoning", text: "hmm" },
    { ...ids, part_id: "prt_2", text_kind: "text", text: "cut off" },
  ])
})

test("an assistant's message is told when something changed, with numbers only once they mean something", async () => {
  const { message, records } = await load()
  const zero = { input: 0, output: 0, reasoning: 0, cache: { read: 0, write: 0 } }
  const tokens = { total: 120, input: 100, output: 20, reasoning: 0, cache: { write: 0, read: 5 } }
  const fields = { parentID: USER, agent: "build", modelID: "m", providerID: "scripted" }
  await message({ ...fields, cost: 0, tokens: zero, time: { created: 1 } })
  await message({ ...fields, cost: 0, tokens: zero, time: { created: 1 }, path: { cwd: "/elsewhere" } })
  await message({ ...fields, cost: 0.5, tokens, time: { created: 1 }, finish: "stop" })
  await message({ ...fields, cost: 0.5, tokens, time: { created: 1, completed: 9 }, finish: "stop" })
  const ids = { kind: "message_updated", session_id: SESSION, message_id: ASSISTANT, role: "assistant", parent_id: USER, agent: "build", model: "scripted/m", created_ms: 1 }
  const counted = { input: 100, output: 20, reasoning: 0, cache: { read: 5, write: 0 } }
  assert.deepEqual(of("message_updated", await records()), [
    ids,
    { ...ids, finish: "stop", tokens: counted, cost: 0.5 },
    { ...ids, completed_ms: 9, finish: "stop", tokens: counted, cost: 0.5 },
  ])
})

test("nothing secret is recorded: no headers, keys, options or environment", async () => {
  const { call, event, message, records } = await load()
  const secret = "sk-secret"
  process.env.SECRET_FOR_TEST = secret
  const data = { message: "refused", statusCode: 401, responseHeaders: { key: secret }, metadata: { url: secret } }
  await message({ time: { created: 1, completed: 2 }, error: { name: "APIError", data } })
  await event("session.error", { sessionID: SESSION, error: { name: "APIError", data } })
  const model = { id: "m", providerID: "scripted", api: { url: secret }, headers: { key: secret } }
  const input = { sessionID: SESSION, agent: "build", model, provider: { key: secret }, message: { id: USER } }
  await call("chat.params", { ...input, agent: "title" }, { temperature: 0.5, options: {} })
  for (let step = 0; step < 3; step++)
    await call("chat.params", input, { temperature: 0.2, topP: 0.9, options: { headers: { key: secret } } })
  const all = await records()
  assert.ok(!JSON.stringify(all).includes(secret))
  assert.deepEqual(of("session_error", all), [
    { kind: "session_error", session_id: SESSION, error: { name: "APIError", message: "refused" } },
  ])
  assert.deepEqual(of("parameters_chosen", all), [
    { kind: "parameters_chosen", session_id: SESSION, message_id: USER, agent: "build", model: "scripted/m", temperature: 0.2, top_p: 0.9 },
  ])
})

test("a tool's part is told once a status, with arguments and metadata at its end and without diagnostics", async () => {
  const { part, records } = await load()
  const ids = { id: "prt_1", type: "tool", tool: "bash", callID: "call_1" }
  const input = { command: "make" }
  await part({ ...ids, state: { status: "pending", input: {}, raw: "" } })
  await part({ ...ids, state: { status: "running", input, time: { start: 1 } } })
  await part({ ...ids, state: { status: "running", input, metadata: { output: "a" }, time: { start: 1 } } })
  const metadata = { output: "ab", exit: 3, diagnostics: { "/every/file": [] } }
  await part({ ...ids, state: { status: "completed", input, output: "ab", title: "make", metadata, time: { start: 1, end: 2 } } })
  await part({ ...ids, id: "prt_2", callID: "call_2", tool: "edit", state: { status: "error", input: { filePath: "a" }, error: "no oldString", time: { start: 3, end: 4 } } })
  await part({ ...ids, id: "prt_3", callID: "call_3", state: { status: "completed", input, output: "x".repeat(300_000), metadata: { output: "y".repeat(300_000), exit: 0 }, time: {} } })
  const records_ = of("tool_updated", await records())
  const common = { kind: "tool_updated", session_id: SESSION, message_id: ASSISTANT, part_id: "prt_1", call_id: "call_1", tool: "bash" }
  assert.deepEqual(records_.slice(0, 4), [
    { ...common, status: "pending" },
    { ...common, status: "running", start_ms: 1 },
    { ...common, status: "completed", args: input, output: "ab", metadata: { output: "ab", exit: 3 }, title: "make", start_ms: 1, end_ms: 2, exit_code: 3 },
    { ...common, part_id: "prt_2", call_id: "call_2", tool: "edit", status: "error", args: { filePath: "a" }, error: "no oldString", start_ms: 3, end_ms: 4 },
  ])
  const large = records_[4]
  assert.deepEqual(large?.truncated, ["output", "metadata"])
  assert.ok((large?.output as string).length > 250_000 && (large?.output as string).length <= 262_144)
  assert.equal(large?.exit_code, 0)
})

test("an edit: the file's text before and after it, and what the client said about that file", async () => {
  const { directory, call, records } = await load()
  const file = join(directory, "cart.py")
  writeFileSync(file, "x\n")
  const ids = { sessionID: SESSION, callID: "call_1", tool: "edit" }
  const args = { filePath: "cart.py", oldString: "x", newString: "y" }
  await call("tool.execute.before", ids, { args })
  writeFileSync(file, "y\n")
  const found = [{ message: "m", severity: 1 }]
  await call("tool.execute.after", { ...ids, args }, { metadata: { diagnostics: { [file]: found, "/other": found } } })
  const all = await records()
  const common = { session_id: SESSION, call_id: "call_1", tool: "edit" }
  const state = (text: string) => ({ path: file, existed: true, bytes: 2, sha256: hash(text) })
  assert.deepEqual(all.slice(1, -1).map(bare), [
    { kind: "text_stored", sha256: hash("x\n"), text: "x\n" },
    { kind: "tool_starting", ...common, args, files: [state("x\n")] },
    { kind: "text_stored", sha256: hash("y\n"), text: "y\n" },
    { kind: "tool_finished", ...common, files: [state("y\n")], diagnostics: { [file]: found } },
  ])
})

test("a patch: every file it updates, adds, deletes or moves", async () => {
  const { directory, call, records } = await load()
  for (const name of ["a.py", "b.py"]) writeFileSync(join(directory, name), name)
  const patchText = "*** Begin Patch\n*** Update File: a.py\n*** Move to: new/d.py\n@@\n-a\n+b\n*** Delete File: b.py\n*** Add File: c.py\n+*** Update File: no\n*** End Patch"
  const ids = { sessionID: SESSION, callID: "call_1", tool: "apply_patch" }
  await call("tool.execute.before", ids, { args: { patchText } })
  mkdirSync(join(directory, "new"))
  renameSync(join(directory, "a.py"), join(directory, "new/d.py"))
  rmSync(join(directory, "b.py"))
  writeFileSync(join(directory, "c.py"), "c")
  await call("tool.execute.after", { ...ids, args: {} }, { metadata: {} })
  const all = await records()
  const existed = (kind: string) =>
    (of(kind, all)[0]?.files as { path: string; existed: boolean }[]).map((f) => [f.path.slice(directory.length + 1), f.existed])
  assert.deepEqual(existed("tool_starting"), [["a.py", true], ["new/d.py", false], ["b.py", true], ["c.py", false]])
  assert.deepEqual(existed("tool_finished"), [["a.py", false], ["new/d.py", true], ["b.py", false], ["c.py", true]])
})

test("whatever names a file and is not known to only read is taken to change it", async () => {
  const { directory, call, records } = await load()
  const calls: [string, object, string[]][] = [
    ["write", { filePath: "/abs/new.py", content: "" }, ["/abs/new.py"]],
    ["multiedit", { filePath: "a", edits: [{ filePath: "b" }, { filePath: "a" }] }, [join(directory, "a"), join(directory, "b")]],
    ["server_replace", { file_path: "sub/../c" }, [join(directory, "c")]],
    ["read", { filePath: "a" }, []],
    ["bash", { command: "rm a" }, []],
  ]
  for (const [tool, args] of calls)
    await call("tool.execute.before", { sessionID: SESSION, callID: tool, tool }, { args })
  const starting = of("tool_starting", await records())
  assert.deepEqual(
    starting.map((r) => [r.tool, (r.files as { path: string }[]).map((f) => f.path)]),
    calls.map(([tool, , paths]) => [tool, paths]),
  )
})

test("steps, status, permissions, sub-agents and the client's own sums", async () => {
  const { directory, event, part, message, records } = await load()
  const info = { id: "ses_2", parentID: SESSION, title: "sub", directory, version: "1.18.33", time: { created: 1, updated: 2 } }
  await event("session.created", { sessionID: "ses_2", info })
  await event("session.updated", { sessionID: "ses_2", info: { ...info, cost: 3, time: { created: 1, updated: 5 } } })
  await event("session.status", { sessionID: SESSION, status: { type: "busy" } })
  await event("session.status", { sessionID: SESSION, status: { type: "busy" } })
  await event("session.status", { sessionID: SESSION, status: { type: "retry", attempt: 1, message: "overloaded", next: 9 } })
  await part({ id: "prt_1", type: "step-start", snapshot: "tree1" })
  await part({ id: "prt_2", type: "patch", hash: "tree1", files: ["/p/a.py", 5] })
  await event("permission.asked", { id: "per_1", sessionID: SESSION, tool: { messageID: ASSISTANT, callID: "call_1" } })
  await event("permission.replied", { sessionID: SESSION, requestID: "per_1", reply: "reject" })
  const diffs = [{ file: "sub/a.py", patch: "...", additions: 1, deletions: 2, status: "modified" }]
  for (let times = 0; times < 2; times++) await message({ id: USER, role: "user", summary: { diffs } })
  const all = (await records()).map(bare).slice(1, -1)
  const ids = { session_id: SESSION, message_id: ASSISTANT }
  assert.deepEqual(all.filter((r) => r.kind !== "message_updated"), [
    { kind: "session_updated", session_id: "ses_2", parent_id: SESSION, title: "sub", directory, client_version: "1.18.33", created_ms: 1, updated_ms: 2 },
    { kind: "session_status", session_id: SESSION, status: "busy" },
    { kind: "session_status", session_id: SESSION, status: "retry", attempt: 1, message: "overloaded" },
    { kind: "step_updated", ...ids, part_id: "prt_1", step: "start", snapshot: "tree1" },
    { kind: "step_updated", ...ids, part_id: "prt_2", step: "patch", snapshot: "tree1", files: ["/p/a.py"] },
    { kind: "permission_replied", session_id: SESSION, permission_id: "per_1", call_id: "call_1", response: "reject" },
    { kind: "files_changed", session_id: SESSION, message_id: USER, files: [{ file: join(directory, "sub/a.py"), additions: 1, deletions: 2 }] },
  ])
})

test("lsp-tap is started for a turn's start, and told of its end once all of it is on disk", async () => {
  const folder = makeTemporary()
  const script = join(folder, "record.sh")
  writeFileSync(
    script,
    `echo "$PWD $*" > ${folder}/"$1".part; mv ${folder}/"$1".part ${folder}/"$1"; [ "$1" = write ] || exit 0
     read -r line; { echo "$line"; cat "$PWD"/logs/tap/*.jsonl; cat; } > ${folder}/told.part; mv ${folder}/told.part ${folder}/told\n`,
  )
  process.env.LSP_TAP_COMMAND = JSON.stringify(["sh", script])
  try {
    const { directory, logs, call, event, records } = await load({ dir: "logs" })
    const read = (name: string) => waitUntil(() => readFileSync(join(folder, name), "utf8").split("\n"))
    await call("chat.message", { sessionID: SESSION }, { message: { id: USER }, parts: [] })
    assert.equal((await read("observe"))[0], `${directory} observe --session ${SESSION} --message ${USER} --dir ${logs}`)
    assert.equal((await read("write"))[0], `${directory} write --follow --dir ${logs} --`)
    await event("session.idle", { sessionID: SESSION })
    await records()
    const [line, ...journal] = await read("told")
    assert.equal(line, SESSION)
    assert.deepEqual(JSON.parse(journal[1] as string).kind, "session_idle")
  } finally {
    process.env.LSP_TAP_COMMAND = '["true"]'
  }
})

test("a command that cannot start is one line of plugin.log, also after many turns", async () => {
  process.env.LSP_TAP_COMMAND = '["/no/such/lsp-tap"]'
  try {
    const { logs, event, records } = await load()
    const log = () => readFileSync(join(logs, "plugin.log"), "utf8").trimEnd().split("\n")
    for (let turn = 0; turn < 3; turn++) await event("session.idle", { sessionID: SESSION })
    await waitUntil(() => (log().length > 1 ? true : undefined))
    await records()
    assert.match(log()[1] as string, /^\S+Z cannot start lsp-tap write: .*ENOENT/)
    assert.equal(log().length, 2)
  } finally {
    process.env.LSP_TAP_COMMAND = '["true"]'
  }
})

test("plugin.log is not written through a link", async () => {
  const directory = makeTemporary()
  const victim = join(directory, "victim")
  writeFileSync(victim, "")
  mkdirSync(join(directory, ".opencode-logs"))
  symlinkSync(victim, join(directory, ".opencode-logs", "plugin.log"))
  await plugin.server({ directory, worktree: directory } as unknown as Parameters<typeof plugin.server>[0])
  assert.equal(readFileSync(victim, "utf8"), "")
})

test("LSP_TAP_DIR moves the recordings", async () => {
  const elsewhere = join(makeTemporary(), "deep", "logs")
  process.env.LSP_TAP_DIR = elsewhere
  try {
    const { event, call } = await load()
    await event("session.idle", { sessionID: SESSION })
    await call("dispose")
    assert.equal(journalsOf(elsewhere).length, 1)
  } finally {
    delete process.env.LSP_TAP_DIR
  }
})
