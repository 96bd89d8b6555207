// Bundles the charts into lsp_tap/report/page/charts.js, which every report carries; with --check, compares instead.
import { build } from "esbuild"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const here = import.meta.dirname
const target = join(here, "..", "page", "charts.js")

const banner = `// The charts of lsp-tap's reports, generated from lsp_tap/report/charts/src; edits here are lost. It asks the network for nothing.
// With parts of Observable Plot (Copyright 2020-2023 Observable, Inc.), D3 (Copyright 2010-2023 Mike Bostock), internmap
// (Copyright 2021 Mike Bostock), isoformat (Copyright 2021 Mike Bostock), interval-tree-1d (Copyright 2013 Mikola Lysenko)
// and binary-search-bounds (Copyright 2013-2015 Mikola Lysenko), under the ISC and MIT licences.`

const { outputFiles } = await build({
  absWorkingDir: here,
  banner: { js: banner },
  bundle: true,
  charset: "ascii",
  entryPoints: ["src/charts.ts"],
  format: "iife",
  legalComments: "none",
  minify: true,
  target: "es2022",
  write: false,
})
const built = outputFiles[0].text

if (!process.argv.includes("--check")) {
  writeFileSync(target, built)
} else if (readFileSync(target, "utf8") !== built) {
  console.error("lsp_tap/report/page/charts.js is not what charts/src builds: run `npm run build` in lsp_tap/report/charts")
  process.exit(1)
}
