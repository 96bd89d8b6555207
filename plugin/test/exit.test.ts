import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { test } from "node:test"
import { journalsOf, makeTemporary, readRecords } from "./support.ts"

const plugin = join(import.meta.dirname, "..", "dist", "lsp-tap.js")

/** Runs the built plugin in a process of its own: `body` has `hooks` and `directory`. */
function runPlugin(body: string) {
  const directory = makeTemporary()
  const script = `
    import plugin from ${JSON.stringify(plugin)}
    const directory = ${JSON.stringify(directory)}
    const hooks = await plugin.server({ directory, worktree: directory }, {})
    const say = (n) => hooks.event({ event: { type: "session.status", properties: { sessionID: "s" + n, status: { type: "busy" } } } })
    ${body}`
  const env = { PATH: process.env.PATH, LSP_TAP_COMMAND: '["true"]' }
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", env, timeout: 60_000 })
  return { ...ran, logs: join(directory, ".opencode-logs") }
}

test("what was queued is written when the process exits without a warning", () => {
  const { logs, status } = runPlugin("for (let n = 0; n < 50; n++) await say(n); process.exit(3)")
  assert.equal(status, 3)
  const records = readRecords(journalsOf(logs)[0] as string)
  assert.deepEqual(records.map((r) => r.seq), Array.from({ length: 51 }, (_, n) => n))
  assert.equal(records.at(-1)?.session_id, "s49")
})

test("what was under way at exit is there once", () => {
  const { logs } = runPlugin(`
    for (let n = 0; n < 50; n++) await say(n)
    await new Promise(setImmediate) // the batch has been handed to the system, and is not known to have arrived
    for (let n = 50; n < 60; n++) await say(n)
    process.exit(0)`)
  const records = readRecords(journalsOf(logs)[0] as string)
  assert.deepEqual(records.map((r) => r.seq), Array.from({ length: 61 }, (_, n) => n))
  assert.deepEqual(records.slice(1).map((r) => r.session_id), Array.from({ length: 60 }, (_, n) => `s${n}`))
})

test("twenty instances in one process print no warning", () => {
  const { stdout, stderr } = runPlugin(`
    const more = []
    for (let n = 0; n < 20; n++) more.push(await plugin.server({ directory, worktree: directory }))
    for (const one of more) await one.dispose()
    await hooks.dispose()`)
  assert.equal(stdout + stderr, "")
})

test("garbage in every hook neither throws nor prints, and the journal goes on", () => {
  const { logs, stdout, stderr, status } = runPlugin(`
    const trap = new Proxy({}, { get() { throw new Error("trap") }, has() { throw new Error("trap") }, ownKeys() { throw new Error("trap") } })
    const circle = {}; circle.properties = circle; circle.info = circle; circle.part = circle; circle.state = circle
    const deep = JSON.parse('{"a":'.repeat(5000) + "1" + "}".repeat(5000))
    const huge = "x".repeat(5_000_000)
    const values = [undefined, null, 0, NaN, -1, "", "text", huge, true, [], [[]], {}, trap, circle, deep, () => 1, Symbol("s"), 10n, new Date(NaN), new Map([[1, 2]])]
    const types = ["session.created", "session.updated", "message.updated", "message.part.updated", "message.part.delta", "session.status", "session.error", "permission.asked", "permission.updated", "permission.replied", "session.idle", "nothing.known", "__proto__"]
    const partTypes = ["text", "reasoning", "tool", "step-start", "step-finish", "patch", "file"]
    const broken = (good) => values.flatMap((value) => Object.keys(good).map((key) => ({ ...good, [key]: value })))
    const ids = { sessionID: "s", messageID: "m", id: "p", callID: "c", tool: "edit", role: "user", text: "t", synthetic: 1, time: {}, state: { status: "completed" }, files: ["a"], tokens: {}, url: "u", status: {}, summary: { diffs: [1] } }
    for (const name of Object.keys(hooks).filter((name) => name !== "dispose")) {
      for (const a of values) for (const b of values) await hooks[name](a, b)
      for (const a of broken({ sessionID: "s", callID: "c", tool: "edit", agent: "a", message: { id: "m" }, args: {} }))
        for (const b of broken({ args: { filePath: "x", edits: [{}], patchText: "*** Update File: y" }, metadata: {}, temperature: 1 }).filter((_, n) => n % 7 === 0))
          await hooks[name](a, b)
    }
    for (const type of [...types, ...values]) for (const properties of values) await hooks.event({ event: { type, properties } })
    for (const type of types) for (const info of broken(ids)) await hooks.event({ event: { type, properties: { info, part: info, ...info } } })
    for (const type of partTypes) for (const part of broken(ids)) await hooks.event({ event: { type: "message.part.updated", properties: { part: { ...part, type } } } })
    for (const input of values) for (const options of [undefined, null, 5, trap, { dir: trap }]) {
      process.chdir(directory)
      const odd = await plugin.server(input, options)
      await odd.event?.({ event: { type: "session.idle", properties: { sessionID: "s" } } })
      await odd.dispose?.()
    }
    await say("at the end")
    await hooks.dispose()
    await hooks.dispose()
    await say("too late")`)
  assert.equal(stdout + stderr, "")
  assert.equal(status, 0)
  const files = journalsOf(logs).map(readRecords)
  for (const records of files) assert.deepEqual(records.map((r) => r.seq), [...records.keys()])
  assert.ok(files[0]?.some((r) => r.session_id === "sat the end"))
  assert.ok(!files.flat().some((r) => r.session_id === "stoo late"))
})
