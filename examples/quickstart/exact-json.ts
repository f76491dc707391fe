/**
 * NDJSON in which numbers that a double cannot hold (whole numbers beyond 2^53, 1e400) stay what they are in the text: they come as a
 * `JSON.rawJSON` object, which `JSON.stringify` writes as it was read. All else is as `json()` of sluice gives it.
 */
import { json, lines, type LineDecoder } from 'sluice'

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/** Of ECMAScript 2026; Node 24 has them, the compiler's library not yet. */
const { rawJSON, isRawJSON, parse } = JSON as unknown as {
  readonly isRawJSON: (value: unknown) => boolean
  readonly rawJSON: (text: string) => object
  readonly parse: (text: string, reviver: Reviver) => unknown
}

export { isRawJSON }

/** Few blocks hold such a thing, and only they pay for a second look. */
const MAY_BE_INEXACT = /[0-9]{16}|[0-9][eE]\+?[0-9]{2}/

export function exactJson(): LineDecoder<unknown> {
  const [plain, texts] = [json(), lines()]
  return {
    decodeBlock: (block) => {
      const decoded = plain.decodeBlock(block)
      if (!MAY_BE_INEXACT.test(block.toString('latin1'))) return decoded
      return { values: texts.decodeBlock(block).values.flatMap(parsed), bad: decoded.bad }
    },
  }
}

/** Nothing for a bad line, which `json()` has reported. */
function parsed(line: string): readonly unknown[] {
  try {
    return [parse(line, exact)]
  } catch {
    return []
  }
}

function exact(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value)) return value
  const isExact = /^-?[0-9]+$/.test(source) ? BigInt(source) === BigInt(value) : Number.isFinite(value)
  return isExact ? value : rawJSON(source)
}
