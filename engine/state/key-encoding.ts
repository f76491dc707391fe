/**
 * Keys: one canonical string form, fixed from the first release.
 *
 * A plain string is its own form, so that it hashes as Flink's `keyBy(String)` would; everything else starts with U+0001 and a type
 * letter, and a string that starts with U+0001 is escaped by another one: 1, "1", true and "true" differ, and no two keys collide.
 */
import { TerminalError } from '../api/index.ts'

const TAG_CODE = 1
const TAG = '\u0001'

/** @throws TerminalError for what is no key: NaN, objects, undefined, null. Lone surrogates: see {@link assertWellFormed}. */
export function keyString(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return key.charCodeAt(0) === TAG_CODE ? TAG + key : key
    case 'number':
      if (Number.isNaN(key))
        throw new TerminalError('NaN is not a key: it does not equal itself', { code: 'SLUICE_KEY_INVALID' })
      return `${TAG}n${key === 0 ? 0 : key}`
    case 'boolean':
      return key ? `${TAG}t` : `${TAG}f`
    case 'bigint':
      return `${TAG}i${key}`
    default:
      if (Array.isArray(key)) return tupleString(key)
  }
  const what = key === null ? 'null' : typeof key
  throw new TerminalError(`${what} is not a key: use a string, number, boolean, bigint or a tuple of these`, {
    code: 'SLUICE_KEY_INVALID',
  })
}

/** Checked when a key is met that is not stored yet (what is stored was checked). @throws TerminalError */
export function assertWellFormed(key: string): void {
  if (key.isWellFormed()) return
  throw new TerminalError(`key ${JSON.stringify(key)} holds a lone surrogate; keys must be well-formed text`, {
    code: 'SLUICE_KEY_INVALID',
  })
}

/** What `keyString` was made from. */
export function keyOfString(text: string): unknown {
  if (text.charCodeAt(0) !== TAG_CODE) return text
  const rest = text.slice(2)
  switch (text[1]) {
    case 'n':
      return Number(rest)
    case 't':
      return true
    case 'f':
      return false
    case 'i':
      return BigInt(rest)
    case '(':
      return (JSON.parse(rest) as string[]).map(keyOfString)
    default:
      return text.slice(1)
  }
}

/** JSON would escape a lone surrogate and so hide it: members are checked here. */
function tupleString(key: readonly unknown[]): string {
  const members = key.map(keyString)
  for (const member of members) assertWellFormed(member)
  return `${TAG}(${JSON.stringify(members)}`
}
