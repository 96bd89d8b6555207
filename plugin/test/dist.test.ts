import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"

const root = join(import.meta.dirname, "..")
const dist = readFileSync(join(root, "dist", "lsp-tap.js"), "utf8")

test("dist/lsp-tap.js is what the sources build", async () => {
  const { buildPlugin } = await import(join(root, "build.mjs"))
  assert.ok(dist === (await buildPlugin()), "run `npm run build` in plugin/ and commit dist/lsp-tap.js")
})

test("it exports the plugin and nothing else, since OpenCode calls every exported function", async () => {
  const module = await import(join(root, "dist", "lsp-tap.js"))
  assert.deepEqual(Object.keys(module), ["default"])
  assert.deepEqual(Object.keys(module.default), ["id", "server"])
  assert.equal(module.default.id, "lsp-tap")
})

test("it needs nothing but Node's own modules, and has the line that `lsp-tap init` replaces", () => {
  const imported = [...dist.matchAll(/^import .* from "(.+)";$/gm)].map((match) => match[1] as string)
  assert.ok(imported.length > 0 && imported.every((name) => name.startsWith("node:")), imported.join())
  assert.equal(dist.match(/^const LSP_TAP_COMMAND = \["lsp-tap"\];$/gm)?.length, 1)
})
