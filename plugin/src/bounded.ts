/** Copies of foreign values that are safe to journal: plain JSON, of a limited size. */

export interface Bounded {
  value: unknown
  /** Whether something was left out. */
  truncated: boolean
}

const MAX_DEPTH = 40

/**
 * A copy of `value` with at most about `limit` characters. Strings are cut where the limit falls; what comes after is
 * left out. What JSON cannot hold, refers back to itself or throws when looked at is null. Never throws.
 */
export function bound(value: unknown, limit: number): Bounded {
  let left = limit
  let truncated = false

  function copy(source: unknown, depth: number): unknown {
    left -= 4 // whatever it is, it takes some room
    switch (typeof source) {
      case "string": {
        if (source.length <= left) {
          left -= source.length
          return source
        }
        truncated = true
        const kept = source.slice(0, Math.max(left, 0))
        left = 0
        return kept
      }
      case "number":
      case "boolean":
        return source
      case "bigint":
        return String(source)
      case "object":
        if (source === null) return null
        if (depth < MAX_DEPTH) return Array.isArray(source) ? copyList(source, depth) : copyObject(source, depth)
        truncated = true
        return null
      default:
        return null
    }
  }

  function copyList(source: unknown[], depth: number): unknown[] {
    const kept: unknown[] = []
    for (let index = 0; index < source.length; index++) {
      if (left <= 0) {
        truncated = true
        break
      }
      kept.push(copy(source[index], depth + 1))
    }
    return kept
  }

  function copyObject(source: object, depth: number): Record<string, unknown> {
    const kept: [string, unknown][] = []
    for (const key of Object.keys(source)) {
      if (left <= 0) {
        truncated = true
        break
      }
      left -= key.length
      let inner: unknown = null
      try {
        inner = (source as Record<string, unknown>)[key]
      } catch {
        // a getter that throws: known to be there, not what it is
      }
      if (inner !== undefined && typeof inner !== "function") kept.push([key, copy(inner, depth + 1)])
    }
    return Object.fromEntries(kept)
  }

  try {
    return { value: value === undefined ? undefined : copy(value, 0), truncated }
  } catch {
    return { value: null, truncated: true }
  }
}
