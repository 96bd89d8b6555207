/**
 * A client's journal: records in, lines of JSON out (`lsp_tap/journal/FORMAT.md`). Knows nothing of any client.
 *
 * Recording never harms the recorded: `write` only queues, a loop appends what is queued, and what cannot be written is
 * counted and told by a `dropped` record once writing works again. The file belongs to this journal alone, so bytes go
 * to an explicit position: a batch that failed half-way is overwritten by the next one, and the batch that is under way
 * when the process exits is written once more, synchronously, to the same place.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { setImmediate } from "node:timers/promises"

const FORMAT = 1

/** What may wait to be written, in characters. More means that the disk is stuck, and the memory is not ours. */
const MAX_QUEUED = 64 * 1024 * 1024

export type Fields = Record<string, unknown>

interface Loss {
  count: number
  bytes: number
  reason: string
}

const NO_LOSS: Loss = { count: 0, bytes: 0, reason: "" }
const unclosed = new Set<Journal>()
let filesNamed = 0

export class Journal {
  private readonly stored = new Set<string>()
  private queue: string[] = []
  private queuedLength = 0
  private underWay: string[] = []
  private lost = NO_LOSS
  private loop: Promise<void> | undefined
  private closed = false
  private fd: number | undefined
  private position = 0
  private seq = 0
  private started: string

  /**
   * @param logs the `.opencode-logs` folder, absolute; the file goes to its folder `tap`
   * @param opening further fields of `client_started`, the first record of every file. There is no file, and no
   *   `client_started`, until there is something to say
   * @param report told of every failure to write; must not throw
   */
  constructor(
    private readonly logs: string,
    private readonly opening: Fields,
    private readonly report: (message: string) => void,
  ) {
    this.started = this.encodeStart()
    if (unclosed.size === 0) process.on("exit", flushAllNow)
    unclosed.add(this)
  }

  /** Queues one record, without those fields that are undefined. Never throws. */
  write(kind: string, fields: Fields): void {
    if (this.closed) return
    const json = encodeRecord(kind, fields)
    if (json === undefined) return this.lose(1, 0, "a record could not be encoded")
    if (this.queuedLength + json.length > MAX_QUEUED) return this.lose(1, json.length, "too much waits to be written")
    this.queue.push(json)
    this.queuedLength += json.length
    this.loop ??= this.drain()
  }

  /** Stores a text unless this file has it. Other records refer to it by the sha256 this returns. */
  storeText(text: string, bytes: Uint8Array): string {
    const sha256 = createHash("sha256").update(bytes).digest("hex")
    if (!this.stored.has(sha256)) {
      this.stored.add(sha256)
      this.write("text_stored", { sha256, text })
    }
    return sha256
  }

  /** Counts a record that was lost before it came here. */
  lose(count: number, bytes: number, reason: string): void {
    this.lost = { count: this.lost.count + count, bytes: this.lost.bytes + bytes, reason }
  }

  /** Waits until everything queued is on disk or lost. */
  async flush(): Promise<void> {
    while (this.loop) await this.loop
  }

  async close(): Promise<void> {
    await this.flush()
    if (this.fd !== undefined) this.write("client_stopped", {})
    this.closed = true
    await this.flush()
    this.closeFile()
    unclosed.delete(this)
    if (unclosed.size === 0) process.off("exit", flushAllNow)
  }

  /** The process ends now: writes what is queued or under way, without waiting. Never throws. */
  flushNow(): void {
    try {
      if (this.queue.length + this.underWay.length === 0) return
      if (this.underWay.length === 0) this.open()
      const first = this.underWay.length > 0 ? this.underWay : this.first(this.lost)
      writeAllNow(this.fd as number, this.encodeBatch([...first, ...this.queue]), this.position)
      this.queue = []
    } catch {
      // nobody is left to tell
    }
  }

  private async drain(): Promise<void> {
    await setImmediate() // gathers what the same event has still to say
    while (this.queue.length > 0) {
      const taken = this.queue
      this.queue = []
      this.queuedLength = 0
      let told = NO_LOSS
      try {
        this.open()
        told = this.lost
        this.lost = NO_LOSS
        this.underWay = [...this.first(told), ...taken]
        const bytes = this.encodeBatch(this.underWay)
        await writeAll(this.fd as number, bytes, this.position)
        this.position += bytes.length
        this.seq += this.underWay.length
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        const length = taken.reduce((sum, json) => sum + json.length, 0)
        this.lose(told.count + taken.length, told.bytes + length, reason)
        this.stored.clear() // texts may be among the lost
        this.cutTornTail()
        this.report(`cannot write the journal: ${reason}`)
      }
      this.underWay = []
    }
    this.loop = undefined
  }

  /** Opens a file unless one is open and still has a name. Throws when it cannot. */
  private open(): void {
    if (this.fd !== undefined && fs.fstatSync(this.fd).nlink === 0) {
      this.lose(this.seq, this.position, "the journal was removed")
      this.closeFile()
      this.started = this.encodeStart()
    }
    if (this.fd !== undefined) return
    this.fd = openFile(makeFolder(this.logs, "tap"))
    this.position = this.seq = 0
    this.stored.clear()
  }

  /** What goes before the next records: the opening of a new file, and what was lost. */
  private first(lost: Loss): string[] {
    const records: string[] = []
    if (this.position === 0) records.push(this.started)
    if (lost.count > 0) records.push(encodeRecord("dropped", { ...lost }) ?? "{}")
    return records
  }

  /** A record gets its number only here, so that lost ones leave no gap. */
  private encodeBatch(records: string[]): Buffer {
    return Buffer.from(records.map((json, index) => `{"seq":${this.seq + index},${json.slice(1)}\n`).join(""))
  }

  private cutTornTail(): void {
    try {
      if (this.fd !== undefined) fs.ftruncateSync(this.fd, this.position)
    } catch {
      // then the next batch overwrites at least its beginning, and readers skip a line that is none
    }
  }

  private encodeStart(): string {
    const clocks = { process_started_ms: performance.timeOrigin, uptime_us: readUptime() }
    return encodeRecord("client_started", { format: FORMAT, ...clocks, ...this.opening }) ?? "{}"
  }

  private closeFile(): void {
    if (this.fd !== undefined) fs.closeSync(this.fd)
    this.fd = undefined
  }
}

function flushAllNow(): void {
  for (const journal of unclosed) journal.flushNow()
}

/**
 * Makes `logs` and its folder `name`, for their owner only. Throws when one of them is a symbolic link or no folder: a
 * cloned project could point them anywhere.
 */
export function makeFolder(logs: string, name = "."): string {
  for (const folder of [logs, path.join(logs, name)]) {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (!fs.lstatSync(folder).isDirectory()) throw new Error(`${folder} is a link, not a folder`)
  }
  return path.join(logs, name)
}

function openFile(folder: string): number {
  const start = new Date().toISOString().replace(/[-:]|\.\d+/g, "")
  for (;;) {
    const file = path.join(folder, `client-${start}-${process.pid}-${filesNamed++}.jsonl`)
    try {
      return fs.openSync(file, "wx", 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
  }
}

async function writeAll(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) =>
      fs.write(fd, bytes, done, bytes.length - done, position + done, (error, written) =>
        error ? reject(error) : resolve(written),
      ),
    )
  }
}

function writeAllNow(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done)
}

/** A record without its number; undefined when it cannot be put as JSON. */
function encodeRecord(kind: string, fields: Fields): string | undefined {
  try {
    return JSON.stringify({ ...readClocks(), kind, ...fields }, (_key, value: unknown) =>
      typeof value === "string" ? value.toWellFormed() : typeof value === "bigint" ? String(value) : value,
    )
  } catch {
    return undefined
  }
}

let wallOffset = 0

/** Both clocks in whole microseconds. The wall clock tells milliseconds only; the steady one fills in the rest. */
function readClocks(): { time_us: number; monotonic_us: number } {
  const monotonic_us = Number(process.hrtime.bigint() / 1000n)
  const wall = Date.now() * 1000
  wallOffset = Math.min(Math.max(wallOffset, wall - monotonic_us), wall + 999 - monotonic_us)
  return { time_us: monotonic_us + wallOffset, monotonic_us }
}

/** How long the machine is running, which setting the wall clock does not change; undefined where nobody knows. */
function readUptime(): number | undefined {
  try {
    return Math.round(os.uptime() * 1e6)
  } catch {
    return undefined
  }
}
