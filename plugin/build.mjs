// Bundles the plugin into dist/lsp-tap.js, the one file OpenCode loads; with --tests, the tests into build/ instead.
import { build } from "esbuild"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"

const here = import.meta.dirname
const version = /"(.+)"/.exec(readFileSync(join(here, "..", "lsp_tap", "_version.py"), "utf8"))[1]

const banner = `// The lsp-tap plugin for OpenCode. Generated from plugin/src of lsp-tap ${version}; edits here are lost.
// It journals tool, message and session events to .opencode-logs/tap (lsp_tap/journal/FORMAT.md) and keeps
// one \`lsp-tap write --follow\` that writes sessions as they come to rest. It prints nothing, changes nothing and sends nothing anywhere.

// How lsp-tap is started. \`lsp-tap init\` puts the absolute command here; LSP_TAP_COMMAND (a JSON array) overrides it.
const LSP_TAP_COMMAND = ["lsp-tap"];
`

const common = {
  bundle: true,
  charset: "utf8",
  format: "esm",
  platform: "node",
  target: "es2022",
  absWorkingDir: here,
  banner: { js: banner },
  define: { LSP_TAP_VERSION: JSON.stringify(version) },
}

export async function buildPlugin() {
  const { outputFiles } = await build({
    ...common,
    entryPoints: ["src/adapter.ts"],
    outfile: "dist/lsp-tap.js",
    write: false,
  })
  return outputFiles[0].text
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes("--tests")) {
    rmSync(join(here, "build"), { recursive: true, force: true })
    const tests = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"))
    await build({
      ...common,
      entryPoints: tests.map((name) => join("test", name)),
      outdir: "build",
      outExtension: { ".js": ".mjs" },
    })
  } else {
    const { writeFile } = await import("node:fs/promises")
    await writeFile(join(here, "dist", "lsp-tap.js"), await buildPlugin())
  }
}
