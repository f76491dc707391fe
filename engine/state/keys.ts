/**
 * Keys: one canonical string form, fixed from the first release, and the key group it belongs to.
 *
 * A plain string is its own form, so that it hashes as Flink's `keyBy(String)` would; everything else starts with U+0001 and a type
 * letter, and a string that starts with U+0001 is escaped by another one: 1, "1", true and "true" differ, and no two keys collide.
 * The hash is Java's String.hashCode, finalised as org.apache.flink.util.MathUtils.murmurHash does, modulo maxParallelism: bit for
 * bit KeyGroupRangeAssignment.assignToKeyGroup.
 */
import { TerminalError } from '../api/index.ts'

const TAG = '\u0001'

/** @throws TerminalError for what is no key: NaN, objects, undefined, null */
export function keyString(key: unknown): string {
  if (typeof key === 'string') return key.charCodeAt(0) === 1 ? TAG + key : key
  switch (typeof key) {
    case 'number':
      if (Number.isNaN(key)) throw new TerminalError('NaN is not a key: it does not equal itself')
      return `${TAG}n${key === 0 ? 0 : key}`
    case 'boolean':
      return key ? `${TAG}t` : `${TAG}f`
    case 'bigint':
      return `${TAG}i${key}`
    default:
      if (Array.isArray(key)) return tupleString(key)
  }
  const what = key === null ? 'null' : typeof key
  throw new TerminalError(`${what} is not a key: use a string, number, boolean, bigint or a tuple of these`)
}

/** Checked once, when a key is first stored. @throws TerminalError */
export function assertWellFormed(key: string): void {
  if (!key.isWellFormed()) throw new TerminalError(`key ${JSON.stringify(key)} holds a lone surrogate; keys must be well-formed text`)
}

/** What `keyString` was made from. */
export function keyOfString(text: string): unknown {
  if (text.charCodeAt(0) !== 1) return text
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

/** In [0, maxParallelism). */
export function keyGroupOf(key: string, maxParallelism: number): number {
  let hash = 0
  for (let index = 0; index < key.length; index += 1) hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0
  return murmur(hash) % maxParallelism
}

function tupleString(key: readonly unknown[]): string {
  return `${TAG}(${JSON.stringify(key.map(keyString))}`
}

/** org.apache.flink.util.MathUtils.murmurHash; never negative. */
function murmur(code: number): number {
  let hash = Math.imul(code, 0xcc9e2d51)
  hash = (hash << 15) | (hash >>> 17)
  hash = Math.imul(hash, 0x1b873593)
  hash = (hash << 13) | (hash >>> 19)
  hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  hash ^= 4
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  if (hash >= 0) return hash
  return hash === -2_147_483_648 ? 0 : -hash
}
