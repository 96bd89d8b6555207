// Draws the charts of a report from the JSON that the page carries. Everything drawn is also on the page as a table.
import { axisX, axisY, barX, dot, gridX, plot, rect, ruleX, ruleY, tip, pointer, text, type Markish } from "@observablehq/plot"

interface Call {
  anchor: string
  tool: string
  kind: "edit" | "command" | "read" | "other"
  ok: boolean
  from: number
  to: number
  label: string
}

interface Stretch {
  from: number
  to: number
  errors: number | null
  warnings: number | null
  doubt: "fresh" | "waiting" | "stale" | "timed-out" | "server-dead"
}

interface Version {
  at: number
  who: "session" | "other" | "nobody" | "same"
  call: string | null
  label: string
}

interface Track {
  anchor: string
  label: string
  stretches: Stretch[]
  versions: Version[]
}

interface Turn {
  anchor: string
  span: number
  calls: Call[]
  tracks: Track[]
}

type Make = (width: number) => SVGElement | HTMLElement

const KINDS = ["read", "edit", "command", "other"] as const
const WHO = { session: "var(--mark)", other: "var(--other)", nobody: "var(--other)", same: "var(--paper)" } as const
const HATCHINGS = [
  ["stale", "var(--errors-hatch)", 45],
  ["dead", "var(--dead)", -45],
  ["unknown", "var(--line)", 90],
] as const
const LEAST_BAR_PX = 3
const RIGHT = 14

const shorten = (name: string, length: number) => (name.length > length ? `${name.slice(0, length - 1)}\u2026` : name)

function formatSeconds(seconds: number, span = seconds): string {
  if (span < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 120) return `${+seconds.toFixed(1)} s`
  const rest = Math.round(seconds % 60)
  return `${Math.floor(seconds / 60)}:${String(rest).padStart(2, "0")}`
}

/** What every chart of a turn has: the same time axis, so that they can be read one below the other. */
function frame(turn: Turn, width: number) {
  return {
    width,
    marginLeft: width < 560 ? 58 : 96,
    marginRight: RIGHT,
    className: "plot",
    style: { background: "none", fontSize: "11px" },
    x: { domain: [0, turn.span || 1] as [number, number], axis: null },
  }
}

function drawCalls(turn: Turn, width: number): SVGElement | HTMLElement {
  const base = frame(turn, width)
  const tools = [...new Set(turn.calls.map((call) => call.tool))]
  const least = ((turn.span || 1) * LEAST_BAR_PX) / (width - base.marginLeft - base.marginRight)
  const bars = turn.calls.map((call) => {
    const to = Math.max(call.to, call.from + least)
    const over = Math.max(0, to - (turn.span || 1))
    return { ...call, from: call.from - over, to: to - over }
  })
  const ticks = Math.max(2, Math.floor(width / 110))
  return plot({
    ...base,
    height: 30 + tools.length * 22,
    marginTop: 24,
    marginBottom: 4,
    y: { type: "band", domain: tools, padding: 0.22 },
    marks: [
      gridX({ ticks }),
      axisX({ anchor: "top", ticks, tickFormat: (seconds: number) => formatSeconds(seconds, turn.span), label: null, tickSize: 0 }),
      axisY({ label: null, tickSize: 0, tickFormat: (name: string) => shorten(name, width < 560 ? 7 : 13) }),
      ...KINDS.map((kind) =>
        barX(bars.filter((call) => call.kind === kind), {
          x1: "from",
          x2: "to",
          y: "tool",
          fill: `var(--${kind})`,
          stroke: (call: Call) => (call.ok ? "none" : "var(--bad)"),
          strokeWidth: 2,
          rx: 2,
          href: (call: Call) => `#${call.anchor}`,
          ariaDescription: `${kind} calls`,
        }),
      ),
      text(bars.filter((call) => !call.ok), {
        x: (call: Call) => (call.from + call.to) / 2,
        y: "tool",
        text: () => "\u00d7",
        fill: "var(--bad)",
        stroke: "var(--paper)",
        strokeWidth: 3,
        fontWeight: "bold",
        fontSize: 14,
        ariaDescription: "failed calls",
      }),
      tip(bars, pointer({ x: (call: Call) => (call.from + call.to) / 2, y: "tool", title: "label", ...TIP })),
    ],
  })
}

const TIP = { fill: "var(--paper)", stroke: "var(--line)", textPadding: 8, lineWidth: 30, fontSize: 12 }

const isSure = (stretch: Stretch) => stretch.doubt === "fresh"
const isKnown = (stretch: Stretch) => stretch.errors !== null

function drawTrack(turn: Turn, track: Track, width: number): SVGElement | HTMLElement {
  const base = frame(turn, width)
  const known = track.stretches.filter(isKnown)
  const most = Math.max(1, ...known.map((stretch) => Math.max(stretch.errors ?? 0, stretch.warnings ?? 0)))
  const top = most * 1.25
  const unknown = track.stretches.filter((stretch) => !isKnown(stretch))
  const joins = track.stretches.flatMap((stretch, at) => {
    const before = track.stretches[at - 1]
    if (!before || before.to < stretch.from || !isKnown(before) || !isKnown(stretch)) return []
    return before.errors === stretch.errors ? [] : [{ x: stretch.from, from: before.errors, to: stretch.errors }]
  })
  const steps = (stretches: Stretch[], dash: string | undefined, label: string): Markish =>
    ruleY(stretches, {
      x1: "from",
      x2: "to",
      y: "errors",
      stroke: "var(--errors)",
      strokeWidth: 2.5,
      strokeDasharray: dash,
      strokeLinecap: dash ? "butt" : "round",
      ariaDescription: label,
    })
  const areas = (stretches: Stretch[], fill: string, label: string): Markish =>
    rect(stretches, { x1: "from", x2: "to", y1: 0, y2: "errors", fill, ariaDescription: label })
  const bands = (doubt: string, fill: string, label: string): Markish =>
    rect(
      unknown.filter((stretch) => (stretch.doubt === "server-dead") === (doubt === "server-dead")),
      { x1: "from", x2: "to", y1: 0, y2: top, fill, title: () => label, ariaDescription: label },
    )
  const ticks = Math.min(most, 4)
  return plot({
    ...base,
    height: 86,
    marginTop: 6,
    marginBottom: 16,
    y: { domain: [0, top] },
    marks: [
      gridX({ ticks: Math.max(2, Math.floor(width / 110)) }),
      axisY({ label: null, ticks, tickSize: 0, tickFormat: (n: number) => (Number.isInteger(n) ? String(n) : "") }),
      bands("server-dead", "url(#hatch-dead)", "server dead"),
      bands("unknown", "url(#hatch-unknown)", "unknown"),
      areas(known.filter(isSure), "var(--errors-area)", "errors, fresh"),
      areas(known.filter((stretch) => !isSure(stretch)), "url(#hatch-stale)", "errors, not fresh"),
      ruleY([0], { stroke: "var(--line)" }),
      ruleY(known.filter((stretch) => stretch.warnings), {
        x1: "from", x2: "to", y: "warnings", stroke: "var(--warnings)", strokeWidth: 1.5, ariaDescription: "warnings",
      }),
      ruleX(joins, { x: "x", y1: "from", y2: "to", stroke: "var(--errors)", strokeWidth: 1.5, ariaDescription: "changes" }),
      steps(known.filter(isSure), undefined, "error count, fresh"),
      steps(known.filter((stretch) => !isSure(stretch)), "4 3", "error count, not fresh"),
      dot(track.versions, {
        x: "at",
        y: 0,
        dy: 9,
        r: 3.6,
        symbol: (version: Version) => (version.who === "nobody" || version.who === "other" ? "diamond" : "triangle"),
        fill: (version: Version) => WHO[version.who],
        stroke: (version: Version) => (version.who === "same" ? "var(--quiet)" : WHO[version.who]),
        href: (version: Version) => (version.call ? `#${version.call}` : null),
        ariaDescription: "versions",
      }),
      tip(track.versions, pointer({ x: "at", y: 0, title: "label", anchor: "bottom", ...TIP })),
      tip(
        track.stretches,
        pointer({
          x: (stretch: Stretch) => (stretch.from + stretch.to) / 2,
          y: (stretch: Stretch) => stretch.errors ?? top / 2,
          title: describe,
          maxRadius: 60,
          ...TIP,
        }),
      ),
    ],
    symbol: { type: "identity" } as never,
    color: { type: "identity" },
  })
}

function describe(stretch: Stretch): string {
  const span = `${formatSeconds(stretch.from)} to ${formatSeconds(stretch.to)}`
  if (stretch.errors === null) return `${stretch.doubt === "server-dead" ? "server dead" : "unknown"}\n${span}`
  const warnings = stretch.warnings ? `, ${stretch.warnings} warning${stretch.warnings > 1 ? "s" : ""}` : ""
  return `${stretch.errors} error${stretch.errors === 1 ? "" : "s"}${warnings}\n${stretch.doubt}, ${span}`
}

/** Hatchings, once for all charts: a doubt must be seen without colours, too. */
function addPatterns(): void {
  const make = (tag: string, attributes: Record<string, string>, ...inner: Element[]) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
    element.append(...inner)
    return element
  }
  const patterns = HATCHINGS.map(([name, fill, angle]) =>
    make(
      "pattern",
      { id: `hatch-${name}`, width: "6", height: "6", patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` },
      make("rect", { width: "2", height: "6", fill }),
    ),
  )
  document.body.append(make("svg", { class: "patterns", width: "0", height: "0", "aria-hidden": "true" }, ...patterns))
}

function draw(place: HTMLElement, width: number, make: Make): void {
  if (!width || place.dataset.width === String(width)) return
  place.dataset.width = String(width)
  const figure = make(width)
  // The tables are what a screen reader and the keyboard use: every call is a heading, every stretch a row.
  for (const link of figure.querySelectorAll("a")) link.setAttribute("tabindex", "-1")
  // A tip that Plot pins on a press would lie between the press and the release, and no link would ever be clicked.
  figure.addEventListener("pointerdown", (event) => event.stopPropagation(), true)
  figure.setAttribute("role", "img")
  figure.setAttribute("aria-label", place.dataset.label ?? "chart")
  place.replaceChildren(figure)
}

function start(): void {
  addPatterns()
  const turns: Turn[] = JSON.parse(document.getElementById("data")?.textContent ?? "[]")
  const charts = new Map<Element, Make>()
  const add = (anchor: string, make: Make) => {
    const place = document.getElementById(anchor)
    if (place) charts.set(place, make)
  }
  for (const turn of turns) {
    if (turn.calls.length) add(`${turn.anchor}-calls`, (width) => drawCalls(turn, width))
    for (const track of turn.tracks) add(track.anchor, (width) => drawTrack(turn, track, width))
  }
  // Widths are what the observers measured: asking for one between two drawings would lay the whole page out each time.
  const drawAt = (place: Element, width: number) => {
    const make = charts.get(place)
    if (make) draw(place as HTMLElement, Math.floor(width), make)
  }
  // A chart is drawn when it comes near the window, and again when its width changes: thousands cost nothing at the start.
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) drawAt(entry.target, entry.boundingClientRect.width)
    },
    { rootMargin: "1000px" },
  )
  const resized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) if (target.firstChild) drawAt(target, contentRect.width)
  })
  for (const place of charts.keys()) {
    near.observe(place)
    resized.observe(place)
  }
  addEventListener("beforeprint", () => {
    const widths = [...charts.keys()].map((place) => [place, place.clientWidth] as const)
    for (const [place, width] of widths) drawAt(place, width)
  })
}

start()
