/** Starts lsp-tap beside the agent, which neither waits for it nor takes it along when it ends. */
import { type ChildProcess, spawn } from "node:child_process"

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
  start(words, cwd, report, "ignore")?.unref()
}

/** How long a writer that has nothing to do is kept. */
const REST_MS = 10 * 60 * 1000

/**
 * One `lsp-tap write --follow`, told a line of each session to write, so that nothing has to start when a session comes
 * to rest. It ends when its standard input does: when it is let go, or this process is no more. Nothing here throws.
 */
export class Writer {
  private child: ChildProcess | undefined
  private resting: NodeJS.Timeout | undefined

  constructor(
    private readonly logs: string,
    private readonly cwd: string,
    private readonly report: (message: string) => void,
    private readonly restMs = REST_MS,
  ) {}

  /** Has it ready soon. One that has to be started gets what there is to write along. */
  prepare(...session_ids: string[]): void {
    this.rest()
    if (this.child) return
    const child = start(["write", "--follow", "--dir", this.logs, "--", ...session_ids], this.cwd, this.report, "pipe")
    if (!child) return
    const forget = () => {
      if (this.child === child) this.child = undefined
    }
    child.on("error", forget)
    child.on("exit", forget)
    child.stdin?.on("error", forget)
    child.unref()
    unref(child.stdin)
    this.child = child
  }

  write(session_id: string): void {
    const stdin = this.child?.stdin
    if (!stdin?.writable) {
      this.child = undefined
      return this.prepare(session_id)
    }
    this.rest()
    try {
      stdin.write(`${session_id}\n`)
    } catch {
      // it ended just now, and writes what came to rest by itself
    }
  }

  /** Lets it finish what it was told, and end. */
  close(): void {
    clearTimeout(this.resting)
    this.child?.stdin?.end()
    this.child = undefined
  }

  private rest(): void {
    clearTimeout(this.resting)
    this.resting = setTimeout(() => this.close(), this.restMs)
    this.resting.unref()
  }
}

/** A pipe's own `unref` is not in every type, nor in every runtime. */
function unref(stream: unknown): void {
  const handle = stream as { unref?: unknown } | null
  if (typeof handle?.unref === "function") handle.unref()
}

function start(
  words: readonly string[],
  cwd: string,
  report: (message: string) => void,
  stdin: "ignore" | "pipe",
): ChildProcess | undefined {
  try {
    const [program, ...first] = findCommand()
    const child = spawn(program as string, [...first, ...words], {
      cwd,
      detached: true,
      stdio: [stdin, "ignore", "ignore"],
    })
    child.on("error", (error) => report(`cannot start lsp-tap ${words[0]}: ${error.message}`))
    child.on("exit", (code) => {
      if (code) report(`lsp-tap ${words[0]} failed with exit code ${code}`)
    })
    return child
  } catch (error) {
    report(`cannot start lsp-tap ${words[0]}: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
