/** Starts lsp-tap beside the agent, which neither waits for it nor takes it along when it ends. */
import { spawn } from "node:child_process"

/** In the built file a constant near its top, where `lsp-tap init` finds it. */
declare const LSP_TAP_COMMAND: readonly string[]

/** The command to start: LSP_TAP_COMMAND of the environment, a JSON array of strings, or what was built in. */
export function findCommand(): readonly string[] {
  const given = process.env.LSP_TAP_COMMAND
  if (!given) return LSP_TAP_COMMAND
  const command: unknown = JSON.parse(given)
  const words = Array.isArray(command) ? command.filter((word) => typeof word === "string" && word) : []
  if (words.length === 0) throw new Error("LSP_TAP_COMMAND is no JSON array of strings")
  return words
}

/**
 * Starts `lsp-tap ...words` in `cwd`, detached and silent. Never throws.
 *
 * @param report told, in one line, when it could not be started or failed while this process is still there
 */
export function launch(words: readonly string[], cwd: string, report: (message: string) => void): void {
  try {
    const [program, ...first] = findCommand()
    const child = spawn(program as string, [...first, ...words], { cwd, detached: true, stdio: "ignore" })
    child.on("error", (error) => report(`cannot start lsp-tap ${words[0]}: ${error.message}`))
    child.on("exit", (code) => {
      if (code) report(`lsp-tap ${words[0]} failed with exit code ${code}`)
    })
    child.unref()
  } catch (error) {
    report(`cannot start lsp-tap ${words[0]}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
