/**
 * The OpenCode plugin: hears OpenCode's hooks and events and says them as neutral records. The only file that knows
 * OpenCode (1.x). Every value that comes in is taken as unknown: OpenCode's types and what it sends are two things.
 *
 * A plugin that throws can hang a session, one that prints spoils the terminal, one that blocks slows the agent. So
 * every hook runs under `guard`, and only the two tool hooks are waited for: they read texts at the time that counts.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import type { Hooks, PluginInput, PluginOptions } from "@opencode-ai/plugin"
import { bound } from "./bounded.ts"
import { Journal, makeFolder, type Fields } from "./journal.ts"
import { launch, Writer } from "./launch.ts"
import { readStates } from "./texts.ts"

declare const LSP_TAP_VERSION: string

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = fs.constants
const LOGS = ".opencode-logs"
const GREETING = "📊 SessionLogger: Initialized (DSPy training data format)"

/** Characters kept of one value: a tool's arguments, output or metadata; and of one text of a message. */
const VALUE_LIMIT = 256 * 1024
const TEXT_LIMIT = 2 * 1024 * 1024
const URL_LIMIT = 4 * 1024

/** Tools that change no file, or none they name. Any other tool with a `filePath` is taken to change that file. */
const READING_TOOLS = new Set(
  ("bash codesearch glob grep invalid list lsp question read skill task todoread todowrite webfetch websearch " +
    "plan_enter plan_exit").split(" "),
)
const PATCHED = /^\*\*\* (?:Update File|Add File|Delete File|Move to): (.+?)\s*$/gm

type Loose = Record<string, unknown>

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const number = (value: unknown): number | undefined => (Number.isFinite(value) ? (value as number) : undefined)
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const object = (value: unknown): Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : {}

/** Remembers what was written under a name, to write it again only when it differs. Forgets the oldest. */
class Changes {
  private readonly digests = new Map<string, string>()

  isNew(name: string, value: unknown): boolean {
    const digest = createHash("sha1").update(JSON.stringify(value) ?? "").digest("base64")
    if (this.digests.get(name) === digest) return false
    this.digests.delete(name)
    this.digests.set(name, digest)
    if (this.digests.size > 20_000) this.digests.delete(this.digests.keys().next().value as string)
    return true
  }
}

/** Lines in plugin.log for a person; one that was said already is not repeated. */
class ActivityLog {
  private readonly said = new Set<string>()

  constructor(private readonly logs: string) {}

  readonly say = (message: string): void => {
    if (this.said.has(message) || this.said.size >= 100) return
    this.said.add(message)
    try {
      const file = path.join(makeFolder(this.logs), "plugin.log")
      const line = `${new Date().toISOString()} ${message.replaceAll("\n", " ").toWellFormed()}\n`
      const fd = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
      fs.writeSync(fd, line)
      fs.closeSync(fd)
    } catch {
      // where nothing can be written, nothing can be said
    }
  }
}

interface OpenText {
  session_id: string
  message_id: string
  part_id: string
  text_kind: string
  text: string
  synthetic: true | undefined
}

/** OpenCode's events as records. */
class Translation {
  private readonly changes = new Changes()
  private readonly usersMessages = new Set<string>()
  private readonly openTexts = new Map<string, OpenText>()
  private readonly asked = new Map<string, string>()

  constructor(
    private readonly journal: Journal,
    private readonly worktree: string,
  ) {}

  event(type: string, properties: Loose): void {
    switch (type) {
      case "session.created":
      case "session.updated":
        return this.session(object(properties.info))
      case "message.updated":
        return this.message(object(properties.info))
      case "message.part.updated":
        return this.part(object(properties.part))
      case "message.part.delta":
        return this.delta(properties)
      case "session.status":
        return this.status(text(properties.sessionID), object(properties.status))
      case "session.error":
        return this.journal.write("session_error", {
          session_id: text(properties.sessionID),
          error: errorOf(properties.error),
        })
      case "permission.asked":
      case "permission.updated": {
        const call = text(object(properties.tool).callID) ?? text(properties.callID)
        if (call) this.asked.set(text(properties.id) ?? "", call)
        return
      }
      case "permission.replied":
        return this.permission(properties)
      case "session.idle": {
        const session_id = text(properties.sessionID)
        if (!session_id) return
        this.endTexts((open) => open.session_id === session_id)
        this.journal.write("session_idle", { session_id })
      }
    }
  }

  parameters(input: Loose, output: Loose): void {
    const session_id = text(input.sessionID)
    const message_id = text(object(input.message).id)
    const agent = text(input.agent)
    if (!session_id || agent === "title") return
    const model = object(input.model)
    const record = {
      session_id,
      message_id,
      agent,
      model: modelName(model.providerID, model.id),
      temperature: number(output.temperature),
      top_p: number(output.topP),
    }
    if (this.changes.isNew(`parameters ${session_id} ${message_id} ${agent}`, record))
      this.journal.write("parameters_chosen", record)
  }

  private session(info: Loose): void {
    const session_id = text(info.id)
    if (!session_id) return
    const time = object(info.time)
    const record = {
      session_id,
      parent_id: text(info.parentID),
      title: text(info.title),
      directory: text(info.directory),
      client_version: text(info.version),
      created_ms: number(time.created),
    }
    if (this.changes.isNew(`session ${session_id}`, record))
      this.journal.write("session_updated", { ...record, updated_ms: number(time.updated) })
  }

  private message(info: Loose): void {
    const message_id = text(info.id)
    const session_id = text(info.sessionID)
    const role = text(info.role)
    if (!message_id || !session_id || !role) return
    if (role === "user") this.usersMessages.add(message_id)
    const time = object(info.time)
    const model = object(info.model) // of a user's message; an assistant's has the two ids itself
    const ended = time.completed !== undefined || info.finish !== undefined || info.error !== undefined
    const record = {
      session_id,
      message_id,
      role,
      parent_id: text(info.parentID),
      agent: text(info.agent) ?? text(info.mode),
      model: modelName(info.providerID ?? model.providerID, info.modelID ?? model.modelID),
      created_ms: number(time.created),
      completed_ms: number(time.completed),
      finish: text(info.finish),
      error: info.error === undefined ? undefined : errorOf(info.error),
      // before the end these are zeros that stand for nothing
      tokens: ended ? tokensOf(info.tokens) : undefined,
      cost: ended ? number(info.cost) : undefined,
    }
    if (this.changes.isNew(`message ${message_id}`, record)) this.journal.write("message_updated", record)
    if (record.completed_ms !== undefined) this.endTexts((open) => open.message_id === message_id)
    this.filesChanged(session_id, message_id, list(object(info.summary).diffs))
  }

  private filesChanged(session_id: string, message_id: string, diffs: unknown[]): void {
    const files = diffs.map(object).flatMap((diff) => {
      const file = text(diff.file)
      const counts = { additions: number(diff.additions), deletions: number(diff.deletions) }
      return file ? [{ file: path.resolve(this.worktree, file), ...counts }] : []
    })
    if (files.length > 0 && this.changes.isNew(`files ${message_id}`, files))
      this.journal.write("files_changed", { session_id, message_id, files })
  }

  private part(part: Loose): void {
    const session_id = text(part.sessionID)
    const message_id = text(part.messageID)
    const part_id = text(part.id)
    if (!session_id || !message_id || !part_id) return
    const ids = { session_id, message_id, part_id }
    const step = (record: Fields): void => {
      if (this.changes.isNew(`part ${part_id}`, record)) this.journal.write("step_updated", { ...ids, ...record })
    }
    switch (part.type) {
      case "text":
      case "reasoning":
        return this.text(
          { ...ids, text_kind: part.type, text: text(part.text) ?? "", synthetic: part.synthetic === true || undefined },
          object(part.time).end !== undefined || this.usersMessages.has(message_id),
        )
      case "tool":
        return this.tool(ids, part)
      case "step-start":
        return step({ step: "start", snapshot: text(part.snapshot) })
      case "step-finish":
        return step({
          step: "finish",
          snapshot: text(part.snapshot),
          reason: text(part.reason),
          tokens: tokensOf(part.tokens),
          cost: number(part.cost),
        })
      case "patch":
        return step({ step: "patch", snapshot: text(part.hash), files: list(part.files).filter(text) })
      case "file": {
        const url = cut(text(part.url), URL_LIMIT)
        const record = { filename: text(part.filename), url: url.value, mime: text(part.mime) }
        if (this.changes.isNew(`part ${part_id}`, record))
          this.journal.write("file_attached", { ...ids, ...record, truncated: url.truncated ? ["url"] : undefined })
      }
    }
  }

  /** A text grows by deltas and is told as a whole when it has ended: its own end, its message's, or idleness. */
  private text(open: OpenText, ended: boolean): void {
    if (!ended) {
      this.openTexts.set(open.part_id, open)
      return
    }
    this.openTexts.delete(open.part_id)
    const kept = cut(open.text, TEXT_LIMIT)
    if (this.changes.isNew(`part ${open.part_id}`, kept.value))
      this.journal.write("text_updated", { ...open, text: kept.value, truncated: kept.truncated ? ["text"] : undefined })
  }

  private delta(properties: Loose): void {
    const open = this.openTexts.get(text(properties.partID) ?? "")
    if (open && properties.field === "text" && open.text.length <= TEXT_LIMIT) open.text += text(properties.delta) ?? ""
  }

  private endTexts(which: (open: OpenText) => boolean): void {
    for (const open of [...this.openTexts.values()].filter(which)) {
      if (open.text) this.text(open, true)
      else this.openTexts.delete(open.part_id)
    }
  }

  /** Told once a status: what a tool says while it runs is not its result. */
  private tool(ids: Fields & { part_id: string }, part: Loose): void {
    const state = object(part.state)
    const status = text(state.status)
    const call_id = text(part.callID)
    const tool = text(part.tool)
    if (!status || !call_id || !tool || !this.changes.isNew(`part ${ids.part_id}`, status)) return
    const time = object(state.time)
    const ended = status === "completed" || status === "error"
    const { diagnostics: _, ...rest } = object(state.metadata)
    const bounded = {
      args: ended ? bound(state.input, VALUE_LIMIT) : undefined,
      output: bound(state.output, VALUE_LIMIT),
      error: bound(state.error, VALUE_LIMIT),
      metadata: ended && state.metadata !== undefined ? bound(rest, VALUE_LIMIT) : undefined,
    }
    this.journal.write("tool_updated", {
      ...ids,
      call_id,
      tool,
      status,
      args: bounded.args?.value,
      output: text(bounded.output.value),
      error: text(bounded.error.value),
      metadata: bounded.metadata?.value,
      title: text(state.title),
      start_ms: number(time.start),
      end_ms: number(time.end),
      exit_code: number(rest.exit),
      truncated: namesOfCut(bounded),
    })
  }

  private status(session_id: string | undefined, status: Loose): void {
    if (!session_id) return
    const record = { status: text(status.type), attempt: number(status.attempt), message: text(status.message) }
    if (record.status && this.changes.isNew(`status ${session_id}`, record))
      this.journal.write("session_status", { session_id, ...record })
  }

  private permission(properties: Loose): void {
    const permission_id = text(properties.requestID) ?? text(properties.permissionID)
    const session_id = text(properties.sessionID)
    if (!session_id) return
    this.journal.write("permission_replied", {
      session_id,
      permission_id,
      call_id: this.asked.get(permission_id ?? ""),
      response: text(properties.reply) ?? text(properties.response),
    })
    this.asked.delete(permission_id ?? "")
  }
}

/** The two hooks around a tool: the texts of the files it changes, before and after. */
class ToolTexts {
  private readonly named = new Map<string, string[]>()

  constructor(
    private readonly journal: Journal,
    private readonly directory: string,
  ) {}

  async before(input: Loose, output: Loose): Promise<void> {
    const ids = idsOf(input)
    if (!ids) return
    const paths = findChangedFiles(ids.tool, object(output.args), this.directory)
    this.named.set(ids.call_id, paths)
    const args = bound(output.args, VALUE_LIMIT)
    const files = await this.read(paths)
    this.journal.write("tool_starting", { ...ids, args: args.value, files, truncated: namesOfCut({ args }) })
  }

  async after(input: Loose, output: Loose): Promise<void> {
    const ids = idsOf(input)
    if (!ids) return
    const metadata = object(output.metadata)
    const paths = this.named.get(ids.call_id) ?? findChangedFiles(ids.tool, object(input.args), this.directory)
    this.named.delete(ids.call_id)
    const reported = object(metadata.diagnostics)
    const own = Object.fromEntries(paths.filter((name) => name in reported).map((name) => [name, reported[name]]))
    const diagnostics = bound(own, VALUE_LIMIT)
    this.journal.write("tool_finished", {
      ...ids,
      files: await this.read(paths),
      diagnostics: Object.keys(own).length > 0 ? diagnostics.value : undefined,
      truncated: namesOfCut({ diagnostics }),
    })
  }

  /** A call that failed has no after. */
  forget(call_id: string | undefined): void {
    if (call_id) this.named.delete(call_id)
  }

  private read(paths: readonly string[]) {
    return readStates(paths, (content, bytes) => this.journal.storeText(content, bytes))
  }
}

function idsOf(input: Loose): { session_id: string; call_id: string; tool: string } | undefined {
  const session_id = text(input.sessionID)
  const call_id = text(input.callID)
  const tool = text(input.tool)
  return session_id && call_id && tool ? { session_id, call_id, tool } : undefined
}

/** The files a call is about to change, absolute: what its arguments name, and those of a patch's headers. */
function findChangedFiles(tool: string, args: Loose, directory: string): string[] {
  if (READING_TOOLS.has(tool)) return []
  const named = [args, ...list(args.edits).map(object)].flatMap((holder) => [holder.filePath, holder.file_path])
  const patched = [...(text(args.patchText) ?? "").matchAll(PATCHED)].map((match) => match[1])
  const names = [...named, ...patched].map(text).filter((name) => name !== undefined && name !== "")
  return [...new Set(names.map((name) => path.resolve(directory, name as string)))]
}

function modelName(provider: unknown, model: unknown): string | undefined {
  return text(provider) && text(model) ? `${provider}/${model}` : undefined
}

function tokensOf(value: unknown): Fields | undefined {
  const tokens = object(value)
  const cache = object(tokens.cache)
  if (number(tokens.input) === undefined && number(tokens.output) === undefined) return undefined
  return {
    input: number(tokens.input),
    output: number(tokens.output),
    reasoning: number(tokens.reasoning),
    cache: { read: number(cache.read), write: number(cache.write) },
  }
}

/** An error's name and message only: its data can hold response headers and the address of a provider. */
function errorOf(value: unknown): Fields {
  const error = object(value)
  const message = text(object(error.data).message) ?? text(error.message) ?? text(value)
  return { name: text(error.name), message: cut(message, VALUE_LIMIT).value }
}

function cut(value: string | undefined, limit: number): { value: string | undefined; truncated: boolean } {
  return value !== undefined && value.length > limit
    ? { value: value.slice(0, limit), truncated: true }
    : { value, truncated: false }
}

function namesOfCut(values: Record<string, { truncated: boolean } | undefined>): string[] | undefined {
  const names = Object.keys(values).filter((name) => values[name]?.truncated)
  return names.length > 0 ? names : undefined
}

async function server(input: PluginInput, options?: PluginOptions): Promise<Hooks> {
  try {
    return startRecording(object(input), object(options))
  } catch {
    return {}
  }
}

function startRecording(input: Loose, options: Loose): Hooks {
  const directory = text(input.directory) ?? process.cwd()
  const worktree = text(input.worktree)
  const logs = path.resolve(directory, text(options.dir) || process.env.LSP_TAP_DIR || LOGS)
  const { say } = new ActivityLog(logs)
  const journal = new Journal(
    logs,
    { recorder: `lsp-tap ${LSP_TAP_VERSION}`, client: { name: "opencode" }, pid: process.pid, directory, worktree },
    say,
  )
  const translation = new Translation(journal, worktree && worktree !== "/" ? worktree : directory)
  const texts = new ToolTexts(journal, directory)
  const unfinished = new Set<Promise<void>>()
  say(GREETING)

  const writer = new Writer(logs, directory, say)
  const start = (...words: string[]): void => launch([...words, "--dir", logs], directory, say)

  /** Runs a hook so that nothing it does can be noticed but in the journal. */
  const guard =
    (name: string, hook: (input: Loose, output: Loose) => void | Promise<void>) =>
    async (first?: unknown, second?: unknown): Promise<void> => {
      try {
        await hook(object(first), object(second))
      } catch (error) {
        try {
          journal.lose(1, 0, `${name} failed`)
          say(`${name} failed: ${error instanceof Error ? error.message : "with what is no error"}`)
        } catch {
          // not even that
        }
      }
    }

  const rest = async (session_id: string): Promise<void> => {
    await journal.flush()
    writer.write(session_id)
  }

  return {
    event: guard("event", (input) => {
      const event = object(input.event)
      const properties = object(event.properties)
      translation.event(text(event.type) ?? "", properties)
      const part = object(properties.part)
      if (object(part.state).status === "error") texts.forget(text(part.callID))
      const session_id = text(properties.sessionID)
      if (event.type !== "session.idle" || !session_id) return
      const resting = rest(session_id).finally(() => unfinished.delete(resting))
      unfinished.add(resting)
    }),
    "chat.message": guard("chat.message", (input, output) => {
      const session_id = text(input.sessionID)
      const message_id = text(object(output.message).id) ?? text(input.messageID)
      if (!session_id || !message_id) return
      start("observe", "--session", session_id, "--message", message_id)
      writer.prepare()
    }),
    "chat.params": guard("chat.params", (input, output) => translation.parameters(input, output)),
    "tool.execute.before": guard("tool.execute.before", (input, output) => texts.before(input, output)),
    "tool.execute.after": guard("tool.execute.after", (input, output) => texts.after(input, output)),
    dispose: guard("dispose", async () => {
      await Promise.all(unfinished)
      await journal.close()
      writer.close()
    }),
  }
}

export default { id: "lsp-tap", server }
