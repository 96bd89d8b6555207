// The lsp-tap plugin for OpenCode. Generated from plugin/src of lsp-tap 0.1.0; edits here are lost.
// It journals tool, message and session events to .opencode-logs/tap (lsp_tap/journal/FORMAT.md) and keeps
// one `lsp-tap write --follow` that writes sessions as they come to rest. It prints nothing, changes nothing and sends nothing anywhere.

// How lsp-tap is started. `lsp-tap init` puts the absolute command here; LSP_TAP_COMMAND (a JSON array) overrides it.
const LSP_TAP_COMMAND = ["lsp-tap"];


// src/adapter.ts
import { createHash as createHash2 } from "node:crypto";
import fs3 from "node:fs";
import path2 from "node:path";

// src/bounded.ts
var MAX_DEPTH = 40;
function bound(value, limit) {
  let left = limit;
  let truncated = false;
  function copy(source, depth) {
    left -= 4;
    switch (typeof source) {
      case "string": {
        if (source.length <= left) {
          left -= source.length;
          return source;
        }
        truncated = true;
        const kept = source.slice(0, Math.max(left, 0));
        left = 0;
        return kept;
      }
      case "number":
      case "boolean":
        return source;
      case "bigint":
        return String(source);
      case "object":
        if (source === null) return null;
        if (depth < MAX_DEPTH) return Array.isArray(source) ? copyList(source, depth) : copyObject(source, depth);
        truncated = true;
        return null;
      default:
        return null;
    }
  }
  function copyList(source, depth) {
    const kept = [];
    for (let index = 0; index < source.length; index++) {
      if (left <= 0) {
        truncated = true;
        break;
      }
      kept.push(copy(source[index], depth + 1));
    }
    return kept;
  }
  function copyObject(source, depth) {
    const kept = [];
    for (const key of Object.keys(source)) {
      if (left <= 0) {
        truncated = true;
        break;
      }
      left -= key.length;
      let inner = null;
      try {
        inner = source[key];
      } catch {
      }
      if (inner !== void 0 && typeof inner !== "function") kept.push([key, copy(inner, depth + 1)]);
    }
    return Object.fromEntries(kept);
  }
  try {
    return { value: value === void 0 ? void 0 : copy(value, 0), truncated };
  } catch {
    return { value: null, truncated: true };
  }
}

// src/journal.ts
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
var FORMAT = 1;
var MAX_QUEUED = 64 * 1024 * 1024;
var NO_LOSS = { count: 0, bytes: 0, reason: "" };
var unclosed = /* @__PURE__ */ new Set();
var filesNamed = 0;
var Journal = class {
  /**
   * @param logs the `.opencode-logs` folder, absolute; the file goes to its folder `tap`
   * @param opening further fields of `client_started`, the first record of every file. There is no file, and no
   *   `client_started`, until there is something to say
   * @param report told of every failure to write; must not throw
   */
  constructor(logs, opening, report) {
    this.logs = logs;
    this.opening = opening;
    this.report = report;
    this.started = this.encodeStart();
    if (unclosed.size === 0) process.on("exit", flushAllNow);
    unclosed.add(this);
  }
  logs;
  opening;
  report;
  stored = /* @__PURE__ */ new Set();
  queue = [];
  queuedLength = 0;
  underWay = [];
  lost = NO_LOSS;
  loop;
  closed = false;
  fd;
  position = 0;
  seq = 0;
  started;
  /** Queues one record, without those fields that are undefined. Never throws. */
  write(kind, fields) {
    if (this.closed) return;
    const json = encodeRecord(kind, fields);
    if (json === void 0) return this.lose(1, 0, "a record could not be encoded");
    if (this.queuedLength + json.length > MAX_QUEUED) return this.lose(1, json.length, "too much waits to be written");
    this.queue.push(json);
    this.queuedLength += json.length;
    this.loop ??= this.drain();
  }
  /** Stores a text unless this file has it. Other records refer to it by the sha256 this returns. */
  storeText(text2, bytes) {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    if (!this.stored.has(sha256)) {
      this.stored.add(sha256);
      this.write("text_stored", { sha256, text: text2 });
    }
    return sha256;
  }
  /** Counts a record that was lost before it came here. */
  lose(count, bytes, reason) {
    this.lost = { count: this.lost.count + count, bytes: this.lost.bytes + bytes, reason };
  }
  /** Waits until everything queued is on disk or lost. */
  async flush() {
    while (this.loop) await this.loop;
  }
  async close() {
    await this.flush();
    if (this.fd !== void 0) this.write("client_stopped", {});
    this.closed = true;
    await this.flush();
    this.closeFile();
    unclosed.delete(this);
    if (unclosed.size === 0) process.off("exit", flushAllNow);
  }
  /** The process ends now: writes what is queued or under way, without waiting. Never throws. */
  flushNow() {
    try {
      if (this.queue.length + this.underWay.length === 0) return;
      if (this.underWay.length === 0) this.open();
      const first = this.underWay.length > 0 ? this.underWay : this.first(this.lost);
      writeAllNow(this.fd, this.encodeBatch([...first, ...this.queue]), this.position);
      this.queue = [];
    } catch {
    }
  }
  async drain() {
    await setImmediate();
    while (this.queue.length > 0) {
      const taken = this.queue;
      this.queue = [];
      this.queuedLength = 0;
      let told = NO_LOSS;
      try {
        this.open();
        told = this.lost;
        this.lost = NO_LOSS;
        this.underWay = [...this.first(told), ...taken];
        const bytes = this.encodeBatch(this.underWay);
        await writeAll(this.fd, bytes, this.position);
        this.position += bytes.length;
        this.seq += this.underWay.length;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const length = taken.reduce((sum, json) => sum + json.length, 0);
        this.lose(told.count + taken.length, told.bytes + length, reason);
        this.stored.clear();
        this.cutTornTail();
        this.report(`cannot write the journal: ${reason}`);
      }
      this.underWay = [];
    }
    this.loop = void 0;
  }
  /** Opens a file unless one is open and still has a name. Throws when it cannot. */
  open() {
    if (this.fd !== void 0 && fs.fstatSync(this.fd).nlink === 0) {
      this.lose(this.seq, this.position, "the journal was removed");
      this.closeFile();
      this.started = this.encodeStart();
    }
    if (this.fd !== void 0) return;
    this.fd = openFile(makeFolder(this.logs, "tap"));
    this.position = this.seq = 0;
    this.stored.clear();
  }
  /** What goes before the next records: the opening of a new file, and what was lost. */
  first(lost) {
    const records = [];
    if (this.position === 0) records.push(this.started);
    if (lost.count > 0) records.push(encodeRecord("dropped", { ...lost }) ?? "{}");
    return records;
  }
  /** A record gets its number only here, so that lost ones leave no gap. */
  encodeBatch(records) {
    return Buffer.from(records.map((json, index) => `{"seq":${this.seq + index},${json.slice(1)}
`).join(""));
  }
  cutTornTail() {
    try {
      if (this.fd !== void 0) fs.ftruncateSync(this.fd, this.position);
    } catch {
    }
  }
  encodeStart() {
    const clocks = { process_started_ms: performance.timeOrigin, uptime_us: readUptime() };
    return encodeRecord("client_started", { format: FORMAT, ...clocks, ...this.opening }) ?? "{}";
  }
  closeFile() {
    if (this.fd !== void 0) fs.closeSync(this.fd);
    this.fd = void 0;
  }
};
function flushAllNow() {
  for (const journal of unclosed) journal.flushNow();
}
function makeFolder(logs, name = ".") {
  for (const folder of [logs, path.join(logs, name)]) {
    fs.mkdirSync(folder, { recursive: true, mode: 448 });
    if (!fs.lstatSync(folder).isDirectory()) throw new Error(`${folder} is a link, not a folder`);
  }
  return path.join(logs, name);
}
function openFile(folder) {
  const start2 = (/* @__PURE__ */ new Date()).toISOString().replace(/[-:]|\.\d+/g, "");
  for (; ; ) {
    const file = path.join(folder, `client-${start2}-${process.pid}-${filesNamed++}.jsonl`);
    try {
      return fs.openSync(file, "wx", 384);
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
  }
}
async function writeAll(fd, bytes, position) {
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise(
      (resolve, reject) => fs.write(
        fd,
        bytes,
        done,
        bytes.length - done,
        position + done,
        (error, written) => error ? reject(error) : resolve(written)
      )
    );
  }
}
function writeAllNow(fd, bytes, position) {
  for (let done = 0; done < bytes.length; )
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
}
function encodeRecord(kind, fields) {
  try {
    return JSON.stringify(
      { ...readClocks(), kind, ...fields },
      (_key, value) => typeof value === "string" ? value.toWellFormed() : typeof value === "bigint" ? String(value) : value
    );
  } catch {
    return void 0;
  }
}
var wallOffset = 0;
function readClocks() {
  const monotonic_us = Number(process.hrtime.bigint() / 1000n);
  const wall = Date.now() * 1e3;
  wallOffset = Math.min(Math.max(wallOffset, wall - monotonic_us), wall + 999 - monotonic_us);
  return { time_us: monotonic_us + wallOffset, monotonic_us };
}
function readUptime() {
  try {
    return Math.round(os.uptime() * 1e6);
  } catch {
    return void 0;
  }
}

// src/launch.ts
import { spawn } from "node:child_process";
function findCommand() {
  const given = process.env.LSP_TAP_COMMAND;
  if (!given) return LSP_TAP_COMMAND;
  const command = JSON.parse(given);
  const words = Array.isArray(command) ? command.filter((word) => typeof word === "string" && word) : [];
  if (words.length === 0) throw new Error("LSP_TAP_COMMAND is no JSON array of strings");
  return words;
}
function launch(words, cwd, report) {
  start(words, cwd, report, "ignore")?.unref();
}
var REST_MS = 10 * 60 * 1e3;
var Writer = class {
  constructor(logs, cwd, report, restMs = REST_MS) {
    this.logs = logs;
    this.cwd = cwd;
    this.report = report;
    this.restMs = restMs;
  }
  logs;
  cwd;
  report;
  restMs;
  child;
  resting;
  /** Has it ready soon. One that has to be started gets what there is to write along. */
  prepare(...session_ids) {
    this.rest();
    if (this.child) return;
    const child = start(["write", "--follow", "--dir", this.logs, "--", ...session_ids], this.cwd, this.report, "pipe");
    if (!child) return;
    const forget = () => {
      if (this.child === child) this.child = void 0;
    };
    child.on("error", forget);
    child.on("exit", forget);
    child.stdin?.on("error", forget);
    child.unref();
    unref(child.stdin);
    this.child = child;
  }
  write(session_id) {
    const stdin = this.child?.stdin;
    if (!stdin?.writable) {
      this.child = void 0;
      return this.prepare(session_id);
    }
    this.rest();
    try {
      stdin.write(`${session_id}
`);
    } catch {
    }
  }
  /** Lets it finish what it was told, and end. */
  close() {
    clearTimeout(this.resting);
    this.child?.stdin?.end();
    this.child = void 0;
  }
  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.close(), this.restMs);
    this.resting.unref();
  }
};
function unref(stream) {
  const handle = stream;
  if (typeof handle?.unref === "function") handle.unref();
}
function start(words, cwd, report, stdin) {
  try {
    const [program, ...first] = findCommand();
    const child = spawn(program, [...first, ...words], {
      cwd,
      detached: true,
      stdio: [stdin, "ignore", "ignore"]
    });
    child.on("error", (error) => report(`cannot start lsp-tap ${words[0]}: ${error.message}`));
    child.on("exit", (code) => {
      if (code) report(`lsp-tap ${words[0]} failed with exit code ${code}`);
    });
    return child;
  } catch (error) {
    report(`cannot start lsp-tap ${words[0]}: ${error instanceof Error ? error.message : String(error)}`);
    return void 0;
  }
}

// src/texts.ts
import fs2 from "node:fs/promises";
var MAX_BYTES = 2 * 1024 * 1024;
var MAX_MS = 250;
async function readStates(paths, store, maxMs = MAX_MS) {
  if (paths.length === 0) return [];
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(void 0), maxMs);
  });
  const reads = await Promise.all(
    paths.map(
      async (path3) => await Promise.race([readState(path3), late]) ?? { path: path3, existed: null, skipped: "timed out" }
    )
  );
  clearTimeout(timer);
  return reads.map(({ text: text2, ...state }) => text2 ? { ...state, sha256: store(text2.text, text2.bytes) } : state);
}
async function readState(path3) {
  try {
    const status = await fs2.stat(path3);
    if (!status.isFile()) return { path: path3, existed: true, skipped: "unreadable" };
    if (status.size > MAX_BYTES) return { path: path3, existed: true, bytes: status.size, skipped: "too large" };
    const bytes = await fs2.readFile(path3);
    if (bytes.length > MAX_BYTES) return { path: path3, existed: true, bytes: bytes.length, skipped: "too large" };
    const text2 = decode(bytes);
    if (text2 === void 0) return { path: path3, existed: true, bytes: bytes.length, skipped: "binary" };
    return { path: path3, existed: true, bytes: bytes.length, text: { text: text2, bytes } };
  } catch (error) {
    const code = error.code;
    if (code === "ENOENT" || code === "ENOTDIR") return { path: path3, existed: false };
    return { path: path3, existed: null, skipped: "unreadable" };
  }
}
function decode(bytes) {
  if (bytes.includes(0)) return void 0;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return void 0;
  }
}

// src/adapter.ts
var { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = fs3.constants;
var LOGS = ".opencode-logs";
var GREETING = "📊 SessionLogger: Initialized (DSPy training data format)";
var VALUE_LIMIT = 256 * 1024;
var TEXT_LIMIT = 2 * 1024 * 1024;
var URL_LIMIT = 4 * 1024;
var READING_TOOLS = new Set(
  "bash codesearch glob grep invalid list lsp question read skill task todoread todowrite webfetch websearch plan_enter plan_exit".split(" ")
);
var PATCHED = /^\*\*\* (?:Update File|Add File|Delete File|Move to): (.+?)\s*$/gm;
var text = (value) => typeof value === "string" ? value : void 0;
var number = (value) => Number.isFinite(value) ? value : void 0;
var list = (value) => Array.isArray(value) ? value : [];
var object = (value) => typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
var Changes = class {
  digests = /* @__PURE__ */ new Map();
  isNew(name, value) {
    const digest = createHash2("sha1").update(JSON.stringify(value) ?? "").digest("base64");
    if (this.digests.get(name) === digest) return false;
    this.digests.delete(name);
    this.digests.set(name, digest);
    if (this.digests.size > 2e4) this.digests.delete(this.digests.keys().next().value);
    return true;
  }
};
var ActivityLog = class {
  constructor(logs) {
    this.logs = logs;
  }
  logs;
  said = /* @__PURE__ */ new Set();
  say = (message) => {
    if (this.said.has(message) || this.said.size >= 100) return;
    this.said.add(message);
    try {
      const file = path2.join(makeFolder(this.logs), "plugin.log");
      const line = `${(/* @__PURE__ */ new Date()).toISOString()} ${message.replaceAll("\n", " ").toWellFormed()}
`;
      const fd = fs3.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 384);
      fs3.writeSync(fd, line);
      fs3.closeSync(fd);
    } catch {
    }
  };
};
var Translation = class {
  constructor(journal, worktree) {
    this.journal = journal;
    this.worktree = worktree;
  }
  journal;
  worktree;
  changes = new Changes();
  usersMessages = /* @__PURE__ */ new Set();
  openTexts = /* @__PURE__ */ new Map();
  asked = /* @__PURE__ */ new Map();
  event(type, properties) {
    switch (type) {
      case "session.created":
      case "session.updated":
        return this.session(object(properties.info));
      case "message.updated":
        return this.message(object(properties.info));
      case "message.part.updated":
        return this.part(object(properties.part));
      case "message.part.delta":
        return this.delta(properties);
      case "session.status":
        return this.status(text(properties.sessionID), object(properties.status));
      case "session.error":
        return this.journal.write("session_error", {
          session_id: text(properties.sessionID),
          error: errorOf(properties.error)
        });
      case "permission.asked":
      case "permission.updated": {
        const call = text(object(properties.tool).callID) ?? text(properties.callID);
        if (call) this.asked.set(text(properties.id) ?? "", call);
        return;
      }
      case "permission.replied":
        return this.permission(properties);
      case "session.idle": {
        const session_id = text(properties.sessionID);
        if (!session_id) return;
        this.endTexts((open) => open.session_id === session_id);
        this.journal.write("session_idle", { session_id });
      }
    }
  }
  parameters(input, output) {
    const session_id = text(input.sessionID);
    const message_id = text(object(input.message).id);
    const agent = text(input.agent);
    if (!session_id || agent === "title") return;
    const model = object(input.model);
    const record = {
      session_id,
      message_id,
      agent,
      model: modelName(model.providerID, model.id),
      temperature: number(output.temperature),
      top_p: number(output.topP)
    };
    if (this.changes.isNew(`parameters ${session_id} ${message_id} ${agent}`, record))
      this.journal.write("parameters_chosen", record);
  }
  session(info) {
    const session_id = text(info.id);
    if (!session_id) return;
    const time = object(info.time);
    const record = {
      session_id,
      parent_id: text(info.parentID),
      title: text(info.title),
      directory: text(info.directory),
      client_version: text(info.version),
      created_ms: number(time.created)
    };
    if (this.changes.isNew(`session ${session_id}`, record))
      this.journal.write("session_updated", { ...record, updated_ms: number(time.updated) });
  }
  message(info) {
    const message_id = text(info.id);
    const session_id = text(info.sessionID);
    const role = text(info.role);
    if (!message_id || !session_id || !role) return;
    if (role === "user") this.usersMessages.add(message_id);
    const time = object(info.time);
    const model = object(info.model);
    const ended = time.completed !== void 0 || info.finish !== void 0 || info.error !== void 0;
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
      error: info.error === void 0 ? void 0 : errorOf(info.error),
      // before the end these are zeros that stand for nothing
      tokens: ended ? tokensOf(info.tokens) : void 0,
      cost: ended ? number(info.cost) : void 0
    };
    if (this.changes.isNew(`message ${message_id}`, record)) this.journal.write("message_updated", record);
    if (record.completed_ms !== void 0) this.endTexts((open) => open.message_id === message_id);
    this.filesChanged(session_id, message_id, list(object(info.summary).diffs));
  }
  filesChanged(session_id, message_id, diffs) {
    const files = diffs.map(object).flatMap((diff) => {
      const file = text(diff.file);
      const counts = { additions: number(diff.additions), deletions: number(diff.deletions) };
      return file ? [{ file: path2.resolve(this.worktree, file), ...counts }] : [];
    });
    if (files.length > 0 && this.changes.isNew(`files ${message_id}`, files))
      this.journal.write("files_changed", { session_id, message_id, files });
  }
  part(part) {
    const session_id = text(part.sessionID);
    const message_id = text(part.messageID);
    const part_id = text(part.id);
    if (!session_id || !message_id || !part_id) return;
    const ids = { session_id, message_id, part_id };
    const step = (record) => {
      if (this.changes.isNew(`part ${part_id}`, record)) this.journal.write("step_updated", { ...ids, ...record });
    };
    switch (part.type) {
      case "text":
      case "reasoning":
        return this.text(
          { ...ids, text_kind: part.type, text: text(part.text) ?? "", synthetic: part.synthetic === true || void 0 },
          object(part.time).end !== void 0 || this.usersMessages.has(message_id)
        );
      case "tool":
        return this.tool(ids, part);
      case "step-start":
        return step({ step: "start", snapshot: text(part.snapshot) });
      case "step-finish":
        return step({
          step: "finish",
          snapshot: text(part.snapshot),
          reason: text(part.reason),
          tokens: tokensOf(part.tokens),
          cost: number(part.cost)
        });
      case "patch":
        return step({ step: "patch", snapshot: text(part.hash), files: list(part.files).filter(text) });
      case "file": {
        const url = cut(text(part.url), URL_LIMIT);
        const record = { filename: text(part.filename), url: url.value, mime: text(part.mime) };
        if (this.changes.isNew(`part ${part_id}`, record))
          this.journal.write("file_attached", { ...ids, ...record, truncated: url.truncated ? ["url"] : void 0 });
      }
    }
  }
  /** A text grows by deltas and is told as a whole when it has ended: its own end, its message's, or idleness. */
  text(open, ended) {
    if (!ended) {
      this.openTexts.set(open.part_id, open);
      return;
    }
    this.openTexts.delete(open.part_id);
    const kept = cut(open.text, TEXT_LIMIT);
    if (this.changes.isNew(`part ${open.part_id}`, kept.value))
      this.journal.write("text_updated", { ...open, text: kept.value, truncated: kept.truncated ? ["text"] : void 0 });
  }
  delta(properties) {
    const open = this.openTexts.get(text(properties.partID) ?? "");
    if (open && properties.field === "text" && open.text.length <= TEXT_LIMIT) open.text += text(properties.delta) ?? "";
  }
  endTexts(which) {
    for (const open of [...this.openTexts.values()].filter(which)) {
      if (open.text) this.text(open, true);
      else this.openTexts.delete(open.part_id);
    }
  }
  /** Told once a status: what a tool says while it runs is not its result. */
  tool(ids, part) {
    const state = object(part.state);
    const status = text(state.status);
    const call_id = text(part.callID);
    const tool = text(part.tool);
    if (!status || !call_id || !tool || !this.changes.isNew(`part ${ids.part_id}`, status)) return;
    const time = object(state.time);
    const ended = status === "completed" || status === "error";
    const { diagnostics: _, ...rest } = object(state.metadata);
    const bounded = {
      args: ended ? bound(state.input, VALUE_LIMIT) : void 0,
      output: bound(state.output, VALUE_LIMIT),
      error: bound(state.error, VALUE_LIMIT),
      metadata: ended && state.metadata !== void 0 ? bound(rest, VALUE_LIMIT) : void 0
    };
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
      truncated: namesOfCut(bounded)
    });
  }
  status(session_id, status) {
    if (!session_id) return;
    const record = { status: text(status.type), attempt: number(status.attempt), message: text(status.message) };
    if (record.status && this.changes.isNew(`status ${session_id}`, record))
      this.journal.write("session_status", { session_id, ...record });
  }
  permission(properties) {
    const permission_id = text(properties.requestID) ?? text(properties.permissionID);
    const session_id = text(properties.sessionID);
    if (!session_id) return;
    this.journal.write("permission_replied", {
      session_id,
      permission_id,
      call_id: this.asked.get(permission_id ?? ""),
      response: text(properties.reply) ?? text(properties.response)
    });
    this.asked.delete(permission_id ?? "");
  }
};
var ToolTexts = class {
  constructor(journal, directory) {
    this.journal = journal;
    this.directory = directory;
  }
  journal;
  directory;
  named = /* @__PURE__ */ new Map();
  async before(input, output) {
    const ids = idsOf(input);
    if (!ids) return;
    const paths = findChangedFiles(ids.tool, object(output.args), this.directory);
    this.named.set(ids.call_id, paths);
    const args = bound(output.args, VALUE_LIMIT);
    const files = await this.read(paths);
    this.journal.write("tool_starting", { ...ids, args: args.value, files, truncated: namesOfCut({ args }) });
  }
  async after(input, output) {
    const ids = idsOf(input);
    if (!ids) return;
    const metadata = object(output.metadata);
    const paths = this.named.get(ids.call_id) ?? findChangedFiles(ids.tool, object(input.args), this.directory);
    this.named.delete(ids.call_id);
    const reported = object(metadata.diagnostics);
    const own = Object.fromEntries(paths.filter((name) => name in reported).map((name) => [name, reported[name]]));
    const diagnostics = bound(own, VALUE_LIMIT);
    this.journal.write("tool_finished", {
      ...ids,
      files: await this.read(paths),
      diagnostics: Object.keys(own).length > 0 ? diagnostics.value : void 0,
      truncated: namesOfCut({ diagnostics })
    });
  }
  /** A call that failed has no after. */
  forget(call_id) {
    if (call_id) this.named.delete(call_id);
  }
  read(paths) {
    return readStates(paths, (content, bytes) => this.journal.storeText(content, bytes));
  }
};
function idsOf(input) {
  const session_id = text(input.sessionID);
  const call_id = text(input.callID);
  const tool = text(input.tool);
  return session_id && call_id && tool ? { session_id, call_id, tool } : void 0;
}
function findChangedFiles(tool, args, directory) {
  if (READING_TOOLS.has(tool)) return [];
  const named = [args, ...list(args.edits).map(object)].flatMap((holder) => [holder.filePath, holder.file_path]);
  const patched = [...(text(args.patchText) ?? "").matchAll(PATCHED)].map((match) => match[1]);
  const names = [...named, ...patched].map(text).filter((name) => name !== void 0 && name !== "");
  return [...new Set(names.map((name) => path2.resolve(directory, name)))];
}
function modelName(provider, model) {
  return text(provider) && text(model) ? `${provider}/${model}` : void 0;
}
function tokensOf(value) {
  const tokens = object(value);
  const cache = object(tokens.cache);
  if (number(tokens.input) === void 0 && number(tokens.output) === void 0) return void 0;
  return {
    input: number(tokens.input),
    output: number(tokens.output),
    reasoning: number(tokens.reasoning),
    cache: { read: number(cache.read), write: number(cache.write) }
  };
}
function errorOf(value) {
  const error = object(value);
  const message = text(object(error.data).message) ?? text(error.message) ?? text(value);
  return { name: text(error.name), message: cut(message, VALUE_LIMIT).value };
}
function cut(value, limit) {
  return value !== void 0 && value.length > limit ? { value: value.slice(0, limit), truncated: true } : { value, truncated: false };
}
function namesOfCut(values) {
  const names = Object.keys(values).filter((name) => values[name]?.truncated);
  return names.length > 0 ? names : void 0;
}
async function server(input, options) {
  try {
    return startRecording(object(input), object(options));
  } catch {
    return {};
  }
}
function startRecording(input, options) {
  const directory = text(input.directory) ?? process.cwd();
  const worktree = text(input.worktree);
  const logs = path2.resolve(directory, text(options.dir) || process.env.LSP_TAP_DIR || LOGS);
  const { say } = new ActivityLog(logs);
  const journal = new Journal(
    logs,
    { recorder: `lsp-tap ${"0.1.0"}`, client: { name: "opencode" }, pid: process.pid, directory, worktree },
    say
  );
  const translation = new Translation(journal, worktree && worktree !== "/" ? worktree : directory);
  const texts = new ToolTexts(journal, directory);
  const unfinished = /* @__PURE__ */ new Set();
  say(GREETING);
  const writer = new Writer(logs, directory, say);
  const start2 = (...words) => launch([...words, "--dir", logs], directory, say);
  const guard = (name, hook) => async (first, second) => {
    try {
      await hook(object(first), object(second));
    } catch (error) {
      try {
        journal.lose(1, 0, `${name} failed`);
        say(`${name} failed: ${error instanceof Error ? error.message : "with what is no error"}`);
      } catch {
      }
    }
  };
  const rest = async (session_id) => {
    await journal.flush();
    writer.write(session_id);
  };
  return {
    event: guard("event", (input2) => {
      const event = object(input2.event);
      const properties = object(event.properties);
      translation.event(text(event.type) ?? "", properties);
      const part = object(properties.part);
      if (object(part.state).status === "error") texts.forget(text(part.callID));
      const session_id = text(properties.sessionID);
      if (event.type !== "session.idle" || !session_id) return;
      const resting = rest(session_id).finally(() => unfinished.delete(resting));
      unfinished.add(resting);
    }),
    "chat.message": guard("chat.message", (input2, output) => {
      const session_id = text(input2.sessionID);
      const message_id = text(object(output.message).id) ?? text(input2.messageID);
      if (!session_id || !message_id) return;
      start2("observe", "--session", session_id, "--message", message_id);
      writer.prepare();
    }),
    "chat.params": guard("chat.params", (input2, output) => translation.parameters(input2, output)),
    "tool.execute.before": guard("tool.execute.before", (input2, output) => texts.before(input2, output)),
    "tool.execute.after": guard("tool.execute.after", (input2, output) => texts.after(input2, output)),
    dispose: guard("dispose", async () => {
      await Promise.all(unfinished);
      await journal.close();
      writer.close();
    })
  };
}
var adapter_default = { id: "lsp-tap", server };
export {
  adapter_default as default
};
