/** The texts of files as they are now: FILES of `lsp_tap/journal/FORMAT.md`. */
import fs from "node:fs/promises"

export const MAX_BYTES = 2 * 1024 * 1024

/** All files of one call together: an edit waits for this. */
export const MAX_MS = 250

export interface FileState {
  path: string
  existed: boolean | null
  sha256?: string
  bytes?: number
  skipped?: "too large" | "timed out" | "binary" | "unreadable"
}

interface Read extends FileState {
  text?: { text: string; bytes: Uint8Array }
}

/**
 * Reads the files at these absolute paths, together, for at most `maxMs`.
 *
 * @param store keeps a text and returns its sha256
 */
export async function readStates(
  paths: readonly string[],
  store: (text: string, bytes: Uint8Array) => string,
  maxMs = MAX_MS,
): Promise<FileState[]> {
  if (paths.length === 0) return []
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), maxMs)
  })
  const reads = await Promise.all(
    paths.map(
      async (path): Promise<Read> =>
        (await Promise.race([readState(path), late])) ?? { path, existed: null, skipped: "timed out" },
    ),
  )
  clearTimeout(timer)
  return reads.map(({ text, ...state }) => (text ? { ...state, sha256: store(text.text, text.bytes) } : state))
}

async function readState(path: string): Promise<Read> {
  try {
    const status = await fs.stat(path)
    if (!status.isFile()) return { path, existed: true, skipped: "unreadable" } // a pipe would never end
    if (status.size > MAX_BYTES) return { path, existed: true, bytes: status.size, skipped: "too large" }
    const bytes = await fs.readFile(path)
    if (bytes.length > MAX_BYTES) return { path, existed: true, bytes: bytes.length, skipped: "too large" }
    const text = decode(bytes)
    if (text === undefined) return { path, existed: true, bytes: bytes.length, skipped: "binary" }
    return { path, existed: true, bytes: bytes.length, text: { text, bytes } }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === "ENOENT" || code === "ENOTDIR") return { path, existed: false }
    return { path, existed: null, skipped: "unreadable" }
  }
}

/** The text, if it is one: UTF-8 (a byte order mark stays in it) without NUL. */
function decode(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
