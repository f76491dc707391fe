/**
 * Chance that depends on (seed, index) alone: a fresh SplitMix32 sequence for each index, so that no record depends on those before it.
 */
import type { Random } from '../../engine/api/index.ts'

const GOLDEN = 0x9e3779b9
const TWO_32 = 4_294_967_296
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

export class SeededRandom implements Random {
  readonly #seedHash: number
  #state = 0

  constructor(seed: number) {
    this.#seedHash = mix(mix(seed | 0) ^ Math.trunc(seed / TWO_32))
  }

  /** Itself, at the start of the sequence of `index`. */
  restartAt(index: number): this {
    this.#state = mix(mix(this.#seedHash ^ (index | 0)) + Math.trunc(index / TWO_32))
    return this
  }

  next(): number {
    const high = this.#word()
    return (high * 0x200000 + (this.#word() >>> 11)) / 9_007_199_254_740_992
  }

  token(length: number): string {
    let token = ''
    for (let index = 0; index < length; index += 1) token += ALPHABET.charAt(Math.floor(this.next() * ALPHABET.length))
    return token
  }

  #word(): number {
    this.#state = (this.#state + GOLDEN) | 0
    return mix(this.#state)
  }
}

/** The finaliser of murmur3: a bijection of 32-bit words. */
function mix(word: number): number {
  let mixed = word | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
