/**
 * What a key may be. Every store checks it before it touches anything, so that a key can never leave the store's directory, bucket
 * prefix or namespace, and so that what one store accepts all accept.
 */
import { TerminalError, type Key } from '../engine/api/index.ts'

/** Fits every file system and, with a prefix, an S3 key. */
export const MAX_KEY_CHARACTERS = 900
/** Leaves room for nothing else: file systems stop at 255 bytes. */
export const MAX_SEGMENT_CHARACTERS = 240

const SEGMENT = `(?!\\.\\.?(?:/|$))[A-Za-z0-9._-]{1,${MAX_SEGMENT_CHARACTERS}}`
const KEY = new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`)
const PREFIX = new RegExp(`^(?:${SEGMENT}/)*$`)

/** @throws TerminalError if `key` is not a key */
export function checkKey(key: Key): void {
  if (key.length <= MAX_KEY_CHARACTERS && KEY.test(key)) return
  throw new TerminalError(`${JSON.stringify(key)} is not a store key: ${RULE}`)
}

/** A prefix is empty (everything) or ends in `/`. @throws TerminalError */
export function checkPrefix(prefix: Key): void {
  if (prefix.length <= MAX_KEY_CHARACTERS && PREFIX.test(prefix)) return
  throw new TerminalError(`${JSON.stringify(prefix)} is not a store prefix: ${RULE}; a prefix ends in "/"`)
}

const RULE =
  `segments of [A-Za-z0-9._-], at most ${MAX_SEGMENT_CHARACTERS} characters each and ${MAX_KEY_CHARACTERS} in all, ` +
  'joined by "/", none of them empty, "." or ".."'
