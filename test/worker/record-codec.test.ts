/** Records on their way to another process: what survives, and what is refused by name. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NO_TIMESTAMP, TerminalError } from '../../engine/api/index.ts'
import { ProtocolError } from '../../engine/worker/frame.ts'
import { decodeBatch, encodeBatch } from '../../engine/worker/record-codec.ts'
import type { RecordBatch } from '../../engine/task/channel.ts'

function payloadOf(batch: RecordBatch): Buffer {
  const { head, rest } = encodeBatch(batch, 'op')
  return Buffer.concat([head, rest])
}

function there(values: readonly unknown[]): readonly unknown[] {
  return decodeBatch(payloadOf({ values, timestamps: values.map(() => NO_TIMESTAMP) })).values
}

/** Bytes may come back as another kind of array of bytes. */
function comparable(value: unknown): unknown {
  return value instanceof Uint8Array ? ['bytes', ...value] : value
}

/** The name of the error that came of it. */
function outcomeOf(act: () => unknown): string {
  try {
    act()
    return 'none'
  } catch (error) {
    return error instanceof Error ? error.name : String(error)
  }
}

const plain = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: false,
  key: fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__' && key !== 'toJSON'),
  values: [
    fc.string({ unit: 'grapheme' }),
    fc.boolean(),
    fc.double().filter((value) => !Object.is(value, -0)),
    fc.integer(),
    fc.constant(null),
    fc.constant(undefined),
  ],
})
const timestamp = fc.oneof(
  fc.constant(NO_TIMESTAMP),
  fc.integer({ min: 0, max: 2_000_000_000_000 }),
  fc.double({ noNaN: true }),
)

test('values and timestamps arrive as they were sent', () => {
  let compared = 0
  fc.assert(
    fc.property(fc.array(fc.tuple(plain, timestamp), { maxLength: 20 }), (records) => {
      const batch = { values: records.map(([value]) => value), timestamps: records.map(([, time]) => time) }
      const arrived = decodeBatch(payloadOf(batch))
      expect(arrived.values).toEqual(batch.values)
      expect(arrived.timestamps.map((time) => time + 0)).toEqual(batch.timestamps.map((time) => time + 0))
      compared += records.length
    }),
    { numRuns: 500 },
  )
  expect(compared).toBeGreaterThan(1_000)
})

test.each([
  ['whole numbers', [1, -5, 2 ** 31 - 1, 0]],
  ['numbers', [0.5, -0, NaN, Infinity, 2 ** 60]],
  ['bytes', [Buffer.from('abc'), new Uint8Array([1, 2])]],
  ['large integers', [2n ** 70n, -3n, { deep: 2n ** 65n }]],
  ['dates, maps, sets', [new Date(5), new Map([[{ a: 1 }, new Set([1])]]), new Set([new Map()])]],
  ['nothing', [undefined, null, { a: undefined, b: null }, [undefined]]],
])('%s survive', (_, values) => {
  const arrived = there(values)
  expect(arrived).toHaveLength(values.length)
  expect(arrived.map(comparable)).toEqual(values.map(comparable))
})

test.each([
  ['all the same', [NO_TIMESTAMP, NO_TIMESTAMP]],
  ['near each other', [1_700_000_000_005, 1_700_000_000_000, 1_700_000_001_000]],
  ['some without', [NO_TIMESTAMP, 1_700_000_000_000]],
  ['fractions', [0.5, 0.25, 0.5]],
  ['none at all', []],
])('timestamps: %s', (_, timestamps) => {
  expect(decodeBatch(payloadOf({ values: timestamps.map(String), timestamps })).timestamps).toEqual(timestamps)
})

test('an instance of a class, which would arrive without its methods, is refused as a record; a plain object without a prototype is not', () => {
  class Money {
    readonly cents = 5
  }
  expect(() => there([1, new Money()])).toThrow(/a record of "op" is an instance of Money.*map it to a plain object/)
  expect(there([Object.assign(Object.create(null), { cents: 5 })])).toStrictEqual([{ cents: 5 }])
})

test('built-in objects are no such instances', () => {
  const values = [new Date(5), new Map([[1, 2]]), new Set(['a']), new Uint8Array([1]), Buffer.from([2])]
  expect(there(values)).toHaveLength(values.length)
})

const circle: Record<string, unknown> = {}
circle['again'] = [circle]

test.each([
  ['a function', [1, () => 1], /a record of "op" cannot go to another process: it is a function/],
  ['a function within', [{ a: [{ b() {} }] }], /it\.a\[0\]\.b is a function/],
  ['a symbol', [Symbol('x')], /it is a symbol/],
  ['a symbol within', [new Map([[1, Symbol('x')]])], /it\.get\(\) is a symbol/],
  ['a value that holds itself', [circle], /holds itself/],
])('%s is refused, and the next batch goes on', (_, values, reason) => {
  expect(() => there(values)).toThrow(TerminalError)
  expect(() => there(values)).toThrow(reason)
  expect(there([{ a: 1 }, { a: 2 }])).toEqual([{ a: 1 }, { a: 2 }])
})

test('bytes that are no batch are an error of the protocol', () => {
  const good = payloadOf({ values: [{ a: 1 }, 'x'], timestamps: [1, 2] })
  const cut = (length: number): Buffer => good.subarray(0, length)
  for (let length = 0; length < good.length; length += 1) expect(() => decodeBatch(cut(length))).toThrow(ProtocolError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
      expect(['none', 'ProtocolError']).toContain(outcomeOf(() => decodeBatch(Buffer.from(noise))))
    }),
  )
})
