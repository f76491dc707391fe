/** Keys and key groups: the canonical form, and Flink's own assignment as recorded vectors. */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { assertWellFormed, keyOfString, keyString } from '../../engine/state/key-encoding.ts'
import { javaHash, keyGroupOf, keyGroupRange, subtaskOf } from '../../engine/state/key-group.ts'
import { createKeyedStateBackend } from '../../engine/state/keyed-state-backend.ts'
import { ProbeKey } from '../../engine/state/probe-key.ts'

type KeyRow = readonly [
  hex: string,
  hash: number,
  of128: number,
  of1024: number,
  of32768: number,
  subtasks: readonly number[],
]
interface Vectors {
  readonly keys: readonly KeyRow[]
  readonly ranges: readonly {
    readonly max: number
    readonly par: number
    readonly i_lo_hi: readonly (readonly [number, number, number])[]
  }[]
}
const vectors = JSON.parse(readFileSync(new URL('key-groups.json', import.meta.url), 'utf8')) as Vectors
const PARALLELISMS = [1, 2, 3, 7, 100]

const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\u0001', 'n', '1', '(', '"', 't') }),
  fc.double({ noNaN: true }),
  fc.boolean(),
  fc.bigInt(),
)
const keys = fc.letrec<{ key: unknown }>((tie) => ({
  key: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('key'), { maxLength: 3 })),
})).key

test("string keys hash and group as Flink's own classes do", () => {
  for (const [hex, hash, of128, of1024, of32768, subtasks] of vectors.keys) {
    const key = String.fromCharCode(...(hex.match(/.{4}/g) ?? []).map((unit) => Number.parseInt(unit, 16)))
    expect([javaHash(key), keyGroupOf(key, 128), keyGroupOf(key, 1_024), keyGroupOf(key, 32_768)]).toEqual([
      hash,
      of128,
      of1024,
      of32768,
    ])
    expect(PARALLELISMS.map((parallelism) => subtaskOf(of128, parallelism, 128))).toEqual(subtasks)
  }
  expect(vectors.keys.length).toBeGreaterThanOrEqual(200)
})

test("ranges of key groups are Flink's", () => {
  for (const { max, par, i_lo_hi } of vectors.ranges) {
    for (const [subtask, first, last] of i_lo_hi) expect(keyGroupRange(subtask, par, max)).toEqual({ first, last })
  }
  expect(vectors.ranges.length).toBeGreaterThanOrEqual(5)
})

test('a key comes back from its string form, and two keys never share one', () => {
  fc.assert(
    fc.property(keys, keys, (one, other) => {
      const text = keyString(one)
      expect(typeof one === typeof other || text !== keyString(other)).toBe(true)
      expect(keyString(keyOfString(text))).toBe(text)
      if (Object.is(keyOfString(text), one) || typeof one === 'object') return
      expect([one, keyOfString(text)]).toEqual([-0, 0])
    }),
    { numRuns: 1_000 },
  )
  const distinct = [1, '1', 1n, true, 'true', '\u0001n1', ['1'], [1], [[1]], '\u0001t', '', []]
  expect(new Set(distinct.map(keyString)).size).toBe(distinct.length)
  expect(keyString(-0)).toBe(keyString(0))
  expect(keyString('plain')).toBe('plain')
})

test('what is no key is refused by name', () => {
  for (const no of [Number.NaN, undefined, null, {}, Symbol('s'), [{}], [Number.NaN]])
    expect(() => keyString(no)).toThrow(/not a key/)
  expect(() => assertWellFormed('a\ud800')).toThrow(/lone surrogate/)
  expect(() => keyString(['a\ud800'])).toThrow(/lone surrogate/)
  const backend = createKeyedStateBackend({ descriptors: {}, maxParallelism: 128 })
  expect(() => backend.setCurrentKey('\udc00')).toThrow(/lone surrogate/)
})

test('a key is packed if it has 1 to 20 characters of one byte; no two packed keys have the same words, and no packed one those of others', () => {
  const wordsOf = (text: string): string => {
    const { a, b, c, d, e, isPacked, hash } = new ProbeKey().read(text)
    expect(hash).toBe(javaHash(text))
    const isOneByte = text.split('').every((character) => character > '\u0000' && character <= '\u00ff')
    expect(isPacked).toBe(isOneByte && text.length >= 1 && text.length <= 20)
    return isPacked ? [a, b, c, d, e].join(' ') : `0 0 0 0 0 ${text}`
  }
  const unit = fc.constantFrom('\u0000', '\u0001', 'a', '\u00ff', '\u0100', '\u0101', '\ud83d')
  const near = fc.oneof(fc.string({ unit, maxLength: 24 }), fc.string({ unit: 'binary-ascii', maxLength: 24 }))
  fc.assert(fc.property(near, near, (one, other) => (wordsOf(one) === wordsOf(other)) === (one === other)))
  const probe = new ProbeKey().read('x'.repeat(20)).read('x'.repeat(21))
  expect([probe.a, probe.b, probe.c, probe.d, probe.e, probe.isPacked]).toEqual([0, 0, 0, 0, 0, false])
  const all = ['', ...Array.from({ length: 21 }, (_, length) => 'a'.repeat(length + 1))]
  expect(new Set(all.map(wordsOf)).size).toBe(all.length)
})
