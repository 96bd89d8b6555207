import assert from "node:assert/strict"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { beforeEach, test } from "node:test"
import { findCommand, launch, Writer } from "../src/launch.ts"
import { makeTemporary, waitUntil } from "./support.ts"

beforeEach(() => {
  delete process.env.LSP_TAP_COMMAND
})

test("the command is the one built in, or the environment's", () => {
  assert.deepEqual(findCommand(), ["lsp-tap"])
  process.env.LSP_TAP_COMMAND = '["python3", "-m", "lsp_tap"]'
  assert.deepEqual(findCommand(), ["python3", "-m", "lsp_tap"])
})

test("it runs detached, in the folder, as the leader of its own group", async () => {
  const folder = makeTemporary()
  const script = join(folder, "record.sh")
  writeFileSync(script, 'echo "$PWD $* $(ps -o pgid= -p $$ | tr -d " ") $$" > "$PWD/said"\n')
  process.env.LSP_TAP_COMMAND = JSON.stringify(["sh", script])
  launch(["write", "ses_1"], folder, assert.fail)
  const said = await waitUntil(() => /\n/.test(readFileSync(join(folder, "said"), "utf8")) || undefined).then(() =>
    readFileSync(join(folder, "said"), "utf8").trim().split(" "),
  )
  assert.deepEqual(said.slice(0, 3), [folder, "write", "ses_1"])
  assert.equal(said[3], said[4])
})

test("what cannot start, or fails, is reported in a line", async () => {
  for (const [command, report] of [
    ['["/no/such/program"]', /cannot start lsp-tap write: .*ENOENT/],
    ["[]", /cannot start lsp-tap write: LSP_TAP_COMMAND is no JSON array of strings/],
    ["{not json", /cannot start lsp-tap write: /],
    ['["sh", "-c", "exit 4"]', /lsp-tap write failed with exit code 4/],
  ] as const) {
    process.env.LSP_TAP_COMMAND = command
    const reports: string[] = []
    launch(["write"], makeTemporary(), (line) => reports.push(line))
    assert.match(await waitUntil(() => reports[0]), report)
  }
})

/** A stand-in for lsp-tap that says in `said` how it was started, what it is told, and when it ends. */
function standIn(folder: string, before = ""): () => string[] {
  const script = join(folder, "record.sh")
  const said = join(folder, "said")
  appendFileSync(said, "")
  writeFileSync(script, `shift 4; echo "started $*" >> ${said}; ${before}\nwhile read -r line; do echo "$line" >> ${said}; done; echo ended >> ${said}\n`)
  process.env.LSP_TAP_COMMAND = JSON.stringify(["sh", script])
  return () => readFileSync(said, "utf8").trimEnd().split("\n")
}

const until = (said: () => string[], last: string) => waitUntil(() => (said().at(-1) === last ? said() : undefined))

test("one writer is told of every session, in order, and ends when it is let go", async () => {
  const folder = makeTemporary()
  const said = standIn(folder)
  const writer = new Writer("/logs", folder, assert.fail)
  writer.prepare()
  writer.prepare()
  await until(said, "started --")
  for (const session of ["ses_1", "ses_2", "ses_1"]) writer.write(session)
  writer.close()
  writer.close()
  assert.deepEqual(await until(said, "ended"), ["started --", "ses_1", "ses_2", "ses_1", "ended"])
})

test("a writer that rests is let go, and the next one gets what there is to write along", async () => {
  const folder = makeTemporary()
  const said = standIn(folder)
  const writer = new Writer("/logs", folder, assert.fail, 100)
  writer.write("ses_1")
  const keptAlive = setInterval(() => {}, 1000) // the timer alone does not
  await until(said, "ended")
  clearInterval(keptAlive)
  writer.write("ses_2")
  writer.close()
  assert.deepEqual(await waitUntil(() => (said().length === 4 ? said() : undefined)), [
    "started -- ses_1",
    "ended",
    "started -- ses_2",
    "ended",
  ])
})

test("a writer that dies is told of in a line, and followed by another", async () => {
  const folder = makeTemporary()
  const said = standIn(folder, 'read -r line; echo "$line" >> "$0.said"; exit 7')
  const reports: string[] = []
  const writer = new Writer("/logs", folder, (line) => reports.push(line))
  writer.write("ses_1")
  writer.write("ses_2")
  assert.match(await waitUntil(() => reports[0]), /lsp-tap write failed with exit code 7/)
  writer.write("ses_3")
  writer.close()
  await until(said, "started -- ses_3")
  process.env.LSP_TAP_COMMAND = '["/no/such/program"]'
  const none = new Writer("/logs", folder, (line) => reports.push(line))
  none.write("ses_4")
  none.write("ses_5")
  assert.match(await waitUntil(() => reports.find((line) => line.includes("ENOENT"))), /cannot start lsp-tap write: /)
  none.write("ses_6")
  none.close()
})
