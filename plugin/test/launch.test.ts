import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { beforeEach, test } from "node:test"
import { findCommand, launch } from "../src/launch.ts"
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
