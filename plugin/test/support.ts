import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after } from "node:test"
import { setTimeout } from "node:timers/promises"

export type Record = { [field: string]: unknown; seq: number; kind: string; time_us: number; monotonic_us: number }

/** A folder that is gone after the tests. */
export function makeTemporary(): string {
  const folder = mkdtempSync(join(tmpdir(), "lsp-tap-plugin-"))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The journal files of a logs folder, in the order they were opened. */
export function journalsOf(logs: string): string[] {
  const serial = (name: string) => Number(/-(\d+)\.jsonl$/.exec(name)?.[1])
  return readdirSync(join(logs, "tap"))
    .sort((a, b) => serial(a) - serial(b))
    .map((name) => join(logs, "tap", name))
}

export function readRecords(file: string): Record[] {
  const text = readFileSync(file, "utf8")
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line))
}

/** Asks about another process until it answers something; throws after `timeoutMs`. */
export async function waitUntil<T>(probe: () => T | undefined, timeoutMs = 10_000): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try {
      const answer = probe()
      if (answer !== undefined) return answer
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    if (Date.now() > deadline) throw new Error("it did not happen in time")
    await setTimeout(20)
  }
}
