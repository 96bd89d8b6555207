import assert from "node:assert/strict"
import fs from "node:fs"
import { mkdirSync, rmSync, statSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { Journal } from "../src/journal.ts"
import { journalsOf, makeTemporary, readRecords } from "./support.ts"

function openJournal(logs = join(makeTemporary(), ".opencode-logs")) {
  const reports: string[] = []
  const journal = new Journal(logs, { recorder: "lsp-tap test", pid: process.pid }, (line) => reports.push(line))
  const only = () => {
    const files = journalsOf(logs)
    assert.equal(files.length, 1)
    return readRecords(files[0] as string)
  }
  return { journal, logs, reports, only }
}

test("records are numbered from 0, stamped by both clocks and kept in order", async () => {
  const { journal, only } = openJournal()
  for (let n = 0; n < 500; n++) {
    journal.write("session_idle", { session_id: `s${n}` })
    if (n % 100 === 0) await journal.flush()
  }
  await journal.close()
  const records = only()
  assert.deepEqual(records.map((r) => r.seq), [...records.keys()])
  assert.deepEqual(records.map((r) => r.session_id).filter(Boolean), Array.from({ length: 500 }, (_, n) => `s${n}`))
  assert.equal(records[0]?.kind, "client_started")
  assert.equal(records[0]?.format, 1)
  assert.equal(records.at(-1)?.kind, "client_stopped")
  for (const [index, record] of records.entries()) {
    assert.ok(Number.isSafeInteger(record.time_us) && Number.isSafeInteger(record.monotonic_us))
    assert.ok(record.monotonic_us >= (records[index - 1]?.monotonic_us ?? 0))
    assert.ok(Math.abs(record.time_us / 1000 - Date.now()) < 60_000)
  }
})

test("folders and files are for their owner only", async () => {
  const { journal, logs } = openJournal()
  journal.write("session_idle", { session_id: "s" })
  await journal.close()
  const mode = (file: string) => statSync(file).mode & 0o777
  assert.equal(mode(logs), 0o700)
  assert.equal(mode(join(logs, "tap")), 0o700)
  assert.equal(mode(journalsOf(logs)[0] as string), 0o600)
})

test("nothing said, no file", async () => {
  const { journal, logs } = openJournal()
  await journal.close()
  assert.ok(!fs.existsSync(logs))
})

test("a folder that is a link is refused, and the loss is told once it is a folder", async () => {
  for (const linked of [".opencode-logs", ".opencode-logs/tap"]) {
    const home = makeTemporary()
    const elsewhere = makeTemporary()
    mkdirSync(join(home, linked, ".."), { recursive: true })
    symlinkSync(elsewhere, join(home, linked))
    const { journal, logs, reports } = openJournal(join(home, ".opencode-logs"))
    journal.write("session_idle", { session_id: "lost" })
    await journal.flush()
    assert.deepEqual(fs.readdirSync(elsewhere), [])
    assert.match(reports[0] as string, /is a link, not a folder/)
    fs.unlinkSync(join(home, linked))
    journal.write("session_idle", { session_id: "kept" })
    await journal.close()
    const [started, dropped, kept] = readRecords(journalsOf(logs)[0] as string)
    assert.equal(started?.kind, "client_started")
    assert.equal(dropped?.kind, "dropped")
    assert.equal(dropped?.count, 1)
    assert.equal(kept?.session_id, "kept")
  }
})

test("a full disk loses records, says how many, and leaves no torn line", async (t) => {
  const { journal, reports, only } = openJournal()
  journal.write("session_idle", { session_id: "before" })
  const sha256 = journal.storeText("x", Buffer.from("x"))
  await journal.flush()
  const real = fs.write
  let failing = true
  t.mock.method(fs, "write", (...args: unknown[]) => {
    if (!failing) return (real as (...args: unknown[]) => void)(...args)
    const [fd, bytes, offset, , position, done] = args as [number, Buffer, number, number, number, (e: unknown) => void]
    fs.writeSync(fd, bytes, offset, bytes.length - 10, position) // most of it fits
    done(Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }))
  })
  journal.write("text_updated", { text: "lost ".repeat(1000) })
  journal.write("session_idle", { session_id: "lost" })
  await journal.flush()
  journal.write("session_idle", { session_id: "lost too" })
  await journal.flush()
  failing = false
  journal.write("session_idle", { session_id: "after" })
  assert.equal(journal.storeText("x", Buffer.from("x")), sha256)
  await journal.close()
  const records = only()
  assert.deepEqual(
    records.map((r) => r.kind),
    ["client_started", "session_idle", "text_stored", "dropped", "session_idle", "text_stored", "client_stopped"],
  )
  assert.deepEqual(records.map((r) => r.seq), [...records.keys()])
  assert.equal(records[3]?.count, 3)
  assert.ok((records[3]?.bytes as number) > 5000)
  assert.match(records[3]?.reason as string, /ENOSPC/)
  assert.equal(records[4]?.session_id, "after")
  assert.match(reports[0] as string, /cannot write the journal: ENOSPC/)
})

test("a removed folder is made again, and the new file says what is gone", async () => {
  const { journal, logs } = openJournal()
  journal.write("session_idle", { session_id: "gone" })
  await journal.flush()
  rmSync(logs, { recursive: true })
  journal.write("session_idle", { session_id: "kept" })
  await journal.close()
  const records = readRecords(journalsOf(logs)[0] as string)
  assert.deepEqual(records.map((r) => r.kind), ["client_started", "dropped", "session_idle", "client_stopped"])
  assert.equal(records[1]?.count, 2)
  assert.match(records[1]?.reason as string, /removed/)
})

test("a text is stored once a file", async () => {
  const { journal, only } = openJournal()
  const one = journal.storeText("ä\n", Buffer.from("ä\n"))
  assert.equal(journal.storeText("ä\n", Buffer.from("ä\n")), one)
  assert.equal(one, "ac6f010e65c9ea739dbdaa21427edd5ef60c6d461ef4d619c003e3ab62453a56")
  await journal.close()
  const stored = only().filter((r) => r.kind === "text_stored")
  assert.deepEqual(stored.map(({ sha256, text }) => ({ sha256, text })), [{ sha256: one, text: "ä\n" }])
})

test("what JSON cannot hold does no harm", async () => {
  const { journal, only } = openJournal()
  const circle: { self?: unknown } = {}
  circle.self = circle
  journal.write("odd", { circle })
  journal.write("odd", {
    get trap() {
      throw new Error("trap")
    },
  })
  journal.write("odd", { big: 10n, half: "\ud83d", absent: undefined })
  await journal.close()
  const [, dropped, odd] = only()
  assert.deepEqual([dropped?.kind, dropped?.count], ["dropped", 2])
  assert.deepEqual([odd?.big, odd?.half, "absent" in (odd ?? {})], ["10", "\ufffd", false])
})

test("two journals of one process have a file each", async () => {
  const logs = join(makeTemporary(), "logs")
  const journals = [openJournal(logs), openJournal(logs)]
  for (const { journal } of journals) journal.write("session_idle", { session_id: "s" })
  for (const { journal } of journals) await journal.close()
  assert.equal(journalsOf(logs).length, 2)
})

test("too much that waits is dropped, not kept in memory", async () => {
  const { journal, only } = openJournal()
  const text = "x".repeat(16 * 1024 * 1024)
  for (let n = 0; n < 6; n++) journal.write("text_updated", { text })
  await journal.close()
  const records = only()
  assert.equal(records.filter((r) => r.kind === "text_updated").length, 3)
  assert.equal(records.find((r) => r.kind === "dropped")?.count, 3)
})
