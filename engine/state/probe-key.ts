/**
 * A key as pages look for it, read once per record: its Java hash, and its characters in words that are compared with those beside the
 * record, so that a look-up does not wait for the stored string.
 */
import { javaHash } from './key-group.ts'

/** Longer keys are compared as strings: five words of four characters each. */
const MOST_PACKED_CHARACTERS = 20
const CHARACTERS_PER_WORD = 4

/**
 * Packed: 1 to 20 characters from U+0001 to U+00FF, one byte each, the last ones in `a`. Every byte but those above the first is above 0, so
 * `a` is never 0 and no two keys have the same words. All words of other keys are 0.
 */
export class ProbeKey {
  text = ''
  /** javaHash(text) */
  hash = 0
  isPacked = false
  a = 0
  b = 0
  c = 0
  d = 0
  e = 0

  read(text: string): this {
    this.text = text
    const { length } = text
    if (length > MOST_PACKED_CHARACTERS || length === 0) return this.#leaveUnpacked(javaHash(text))
    let hash = 0
    let seen = 0
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    let e = 0
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index)
      hash = (Math.imul(hash, 31) + code) | 0
      // 0 sets every bit, what is above U+00FF one above the lower eight.
      seen |= code | (code - 1)
      if (index % CHARACTERS_PER_WORD === 0) {
        e = d
        d = c
        c = b
        b = a
        a = 0
      }
      a = (a << 8) | code
    }
    if (seen >>> 8 !== 0) return this.#leaveUnpacked(hash)
    this.hash = hash
    this.isPacked = true
    this.a = a
    this.b = b
    this.c = c
    this.d = d
    this.e = e
    return this
  }

  #leaveUnpacked(hash: number): this {
    this.hash = hash
    this.isPacked = false
    this.a = 0
    this.b = 0
    this.c = 0
    this.d = 0
    this.e = 0
    return this
  }
}
