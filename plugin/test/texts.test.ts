import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import fs from "node:fs/promises"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { bound } from "../src/bounded.ts"
import { MAX_BYTES, readStates } from "../src/texts.ts"
import { makeTemporary } from "./support.ts"

const folder = makeTemporary()

function place(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

async function read(paths: string[], maxMs?: number) {
  const texts: string[] = []
  const states = await readStates(paths, (text) => `#${texts.push(text)}`, maxMs)
  return { states, texts }
}

test("texts are read as they are, in the order asked for", async () => {
  const paths = [place("b", "\ufeffä\r\n"), place("empty", ""), join(folder, "none"), join(folder, "b", "below a file")]
  const { states, texts } = await read(paths)
  assert.deepEqual(texts, ["\ufeffä\r\n", ""])
  assert.deepEqual(states, [
    { path: paths[0], existed: true, bytes: 7, sha256: "#1" },
    { path: paths[1], existed: true, bytes: 0, sha256: "#2" },
    { path: paths[2], existed: false },
    { path: paths[3], existed: false },
  ])
})

test("what is no text, too large or no file is named so", async () => {
  mkdirSync(join(folder, "folder"))
  execFileSync("mkfifo", [join(folder, "pipe")])
  const paths = [
    place("nul", "a\0b"),
    place("latin1", Uint8Array.of(0xe4, 0x0a)),
    place("large", "x".repeat(MAX_BYTES + 1)),
    join(folder, "folder"),
    join(folder, "pipe"),
  ]
  const { states, texts } = await read(paths)
  assert.deepEqual(states.map((s) => [s.existed, s.skipped]), [
    [true, "binary"],
    [true, "binary"],
    [true, "too large"],
    [true, "unreadable"],
    [true, "unreadable"],
  ])
  assert.deepEqual(texts, [])
})

test("a file that takes too long is given up, the others are not", async (t) => {
  const [slow, fast] = [place("slow", "s"), place("fast", "f")]
  const real = fs.stat
  t.mock.method(fs, "stat", (path: string) => (path === slow ? new Promise(() => {}) : real(path)))
  const { states, texts } = await read([slow, fast], 60)
  assert.deepEqual(states[0], { path: slow, existed: null, skipped: "timed out" })
  assert.equal(states[1]?.sha256, "#1")
  assert.deepEqual(texts, ["f"])
})

test("what fits is copied whole", () => {
  const value = { a: [1, "two", { three: null, yes: true }], gone: undefined }
  assert.deepEqual(bound(value, 1000), { value: { a: [1, "two", { three: null, yes: true }] }, truncated: false })
  assert.deepEqual(bound(undefined, 10), { value: undefined, truncated: false })
})

test("what does not fit is cut and said to be", () => {
  assert.deepEqual(bound("abcdefghij", 9), { value: "abcde", truncated: true })
  const { value, truncated } = bound({ first: "x".repeat(100), second: "y".repeat(100), third: 1 }, 120)
  assert.ok(truncated)
  assert.equal((value as { first: string }).first, "x".repeat(100))
  assert.ok(JSON.stringify(value).length < 160)
  const many = bound(Array.from({ length: 100_000 }, () => 1), 4000)
  assert.ok(many.truncated && (many.value as unknown[]).length <= 1000)
})

test("odd values become null and stop nobody", () => {
  const circle: { self?: unknown } = {}
  circle.self = circle
  const trap = {
    good: 1,
    get bad(): unknown {
      throw new Error("trap")
    },
  }
  assert.deepEqual(bound(trap, 100).value, { good: 1, bad: null })
  assert.ok(bound(circle, 1000).truncated)
  assert.deepEqual(bound([10n, Symbol("s"), () => 1], 100).value, ["10", null, null])
})
