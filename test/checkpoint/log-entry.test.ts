import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CorruptCheckpointError } from '../../engine/api/index.ts'
import { decodeLogEntry, encodeLogEntry, logKey, markKey, type LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { sampleEntry, sampleRetained, type EntrySample } from './samples.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER })

const entries: fc.Arbitrary<LogEntry> = fc
  .record({
    seq: fc.integer({ min: 1, max: 10 ** 13 }),
    kind: fc.constantFrom('started', 'completed', 'committed', 'alive', 'ended'),
    generation: fc.integer({ min: 1 }),
    nonce: text,
    at: whole,
    committedThrough: whole,
    nextCheckpoint: whole,
    retained: fc.array(
      fc.integer({ min: 1 }).map((checkpoint) => sampleRetained(checkpoint)),
      { maxLength: 3 },
    ),
    unclean: fc.array(fc.record({ operator: text, generation: whole, scope: fc.base64String() }), { maxLength: 3 }),
    acceptedLosses: fc.array(whole, { maxLength: 3 }),
    settings: fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      text,
      { noNullPrototype: true },
    ),
    failures: fc.array(fc.record({ at: whole, generation: whole, message: text }), { maxLength: 3 }),
  })
  .map((part) => sampleEntry(part satisfies EntrySample))

const keyOf = (entry: LogEntry): string => logKey(entry.job, entry.seq)

test('an entry survives encoding and decoding', () => {
  fc.assert(
    fc.property(entries, (entry) => {
      expect(decodeLogEntry(keyOf(entry), encodeLogEntry(entry))).toEqual(entry)
    }),
  )
})

test('any flipped bit is refused, and the key is named (F15)', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 0, max: 7 }), (entry, at, bit) => {
      const bytes = encodeLogEntry(entry)
      const index = at % bytes.byteLength
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit)
      expect(isRefused(keyOf(entry), bytes)).toBe(true)
    }),
    { numRuns: 1_000 },
  )
})

test('every bit of one header is guarded', () => {
  const entry = sampleEntry()
  const bytes = encodeLogEntry(entry)
  const headerBytes = bytes.indexOf(10) + 1
  expect(headerBytes).toBeGreaterThan(70)
  for (let bit = 0; bit < headerBytes * 8; bit += 1) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(isRefused(keyOf(entry), flipped)).toBe(true)
  }
})

test('a truncated entry is refused at every length, zero included', () => {
  const entry = sampleEntry()
  const bytes = encodeLogEntry(entry)
  for (let length = 0; length < bytes.byteLength; length += 1)
    expect(isRefused(keyOf(entry), bytes.subarray(0, length))).toBe(true)
})

test('zero bytes of the right length, appended bytes and foreign bytes are refused', () => {
  const entry = sampleEntry()
  const bytes = encodeLogEntry(entry)
  expect(isRefused(keyOf(entry), new Uint8Array(bytes.byteLength))).toBe(true)
  expect(isRefused(keyOf(entry), Buffer.concat([bytes, new Uint8Array([0])]))).toBe(true)
  fc.assert(
    fc.property(fc.uint8Array(), (foreign) => {
      expect(isRefused(keyOf(entry), foreign)).toBe(true)
    }),
  )
})

test('an entry under another number is refused', () => {
  const entry = sampleEntry({ seq: 7 })
  expect(() => decodeLogEntry(logKey(entry.job, 8), encodeLogEntry(entry))).toThrow(/says that it is number 7/)
})

test('keys sort as their numbers do, up to twelve digits', () => {
  expect(logKey('orders', 42)).toBe('orders/log/000000000042')
  expect(markKey('orders', 3)).toBe('orders/mark/3')
  fc.assert(
    fc.property(fc.nat({ max: 10 ** 12 - 1 }), fc.nat({ max: 10 ** 12 - 1 }), (a, b) => {
      expect(logKey('j', a) < logKey('j', b)).toBe(a < b)
    }),
  )
})

/** Is it refused as corrupt, with the key named? */
function isRefused(key: string, bytes: Uint8Array): boolean {
  try {
    decodeLogEntry(key, bytes)
    return false
  } catch (error) {
    return error instanceof CorruptCheckpointError && error.message.includes(key)
  }
}
