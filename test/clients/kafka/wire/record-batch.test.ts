/** Batches as Kafka's own Java client writes them, read and written here (vectors/GoldenVectors.java); and damaged ones. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { COMPRESSIONS, type Compression } from '../../../../clients/kafka/compression/codec.ts'
import { crc32c } from '../../../../clients/kafka/crc32c.ts'
import { markerOf } from '../../../../clients/kafka/read-committed.ts'
import { readBatches, type RecordBatch } from '../../../../clients/kafka/wire/record-batch.ts'
import { NO_PRODUCER, RecordBatchWriter } from '../../../../clients/kafka/wire/record-batch-writer.ts'
import { RecordColumns } from '../../../../clients/kafka/wire/record-columns.ts'
import { orMalformed } from '../malformed.ts'

interface JavaRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

interface Vector {
  readonly name: string
  readonly header: Readonly<Record<string, unknown>>
  /** Null: told by their hash alone. */
  readonly records: readonly JavaRecord[] | null
  readonly sha256: string
  readonly hex: string
}

const url = new URL('../vectors/batches.json', import.meta.url)
const vectors = JSON.parse(readFileSync(url, 'utf8')) as readonly Vector[]
const vector = (name: string): Vector => {
  const found = vectors.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no vector ${name}`)
  return found
}
const bytesOf = (one: Vector): Buffer => Buffer.from(one.hex, 'hex')
const only = (bytes: Buffer): RecordBatch => {
  const [batch, ...more] = readBatches(bytes)
  if (batch === undefined || more.length > 0) throw new Error(`${more.length} batches more than one`)
  return batch
}

function recordsOf(batch: RecordBatch): readonly JavaRecord[] {
  const columns = new RecordColumns()
  columns.fill(batch)
  return Array.from({ length: columns.count }, (_, index) => ({
    offset: columns.offsetAt(index),
    timestamp: columns.timestampAt(index),
    key: columns.keyAt(index)?.toString('hex') ?? null,
    value: columns.valueAt(index)?.toString('hex') ?? null,
    headers: columns.headersAt(index).map(({ key, value }) => [key, value?.toString('hex') ?? null] as const),
  }))
}

function readAll(bytes: Buffer): void {
  for (const batch of readBatches(bytes)) {
    recordsOf(batch)
    if (batch.isControl) markerOf(batch)
  }
}

function digestOf(records: readonly JavaRecord[]): string {
  const lines = records.map(({ offset, timestamp, key, value }) => `${offset} ${timestamp} ${key} ${value}\n`)
  return createHash('sha256').update(lines.join('')).digest('hex')
}

describe.each(vectors.map((one) => [one.name, one] as const))('the batch "%s" of the Java client', (_, one) => {
  test('is read as it reads it', () => {
    const batch = only(bytesOf(one))
    expect(batch).toMatchObject(one.header)
    expect(batch.sizeBytes).toBe(one.hex.length / 2)
    const records = recordsOf(batch)
    expect(digestOf(records)).toBe(one.sha256)
    expect(records).toEqual(one.records ?? records)
  })
})

describe('a batch written here', () => {
  test.each(['plain', 'transactional'])('is that of the Java client, byte by byte: "%s"', (name) => {
    const one = vector(name)
    const expected = only(bytesOf(one))
    const writer = new RecordBatchWriter()
    for (const { key, value, timestamp, headers } of one.records ?? []) {
      writer.append({
        key: key === null ? null : Buffer.from(key, 'hex'),
        value: value === null ? null : Buffer.from(value, 'hex'),
        timestamp,
        headers: headers.map(([name, content]) => ({
          key: name,
          value: content === null ? null : Buffer.from(content, 'hex'),
        })),
      })
    }
    expect(writer.finish(expected).toString('hex')).toBe(one.hex)
  })

  test.each(COMPRESSIONS)('is read back, whatever it holds: %s', (compression) => {
    const text = fc.option(fc.string({ unit: 'binary', maxLength: 300 }))
    const record = fc.record({
      key: text,
      value: text,
      timestamp: fc.integer({ min: -1, max: 2 ** 45 }),
      headers: fc.array(fc.record({ key: fc.string(), value: text }), { maxLength: 3 }),
    })
    const writer = new RecordBatchWriter()
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 40 }), (records) => {
        for (const one of records) writer.append(one)
        const batch = only(writer.finish(NO_PRODUCER, compression))
        const hex = (value: string | null): string | null =>
          value === null ? null : Buffer.from(value).toString('hex')
        expect(recordsOf(batch)).toEqual(
          records.map(({ key, value, timestamp, headers }, offset) => ({
            offset,
            timestamp,
            key: hex(key),
            value: hex(value),
            headers: headers.map((header) => [Buffer.from(header.key).toString(), hex(header.value)]),
          })),
        )
        expect(batch.maxTimestamp).toBe(Math.max(...records.map(({ timestamp }) => timestamp)))
      }),
      { numRuns: 50 },
    )
  })

  test('of 200,000 records is read back', () => {
    const writer = new RecordBatchWriter()
    for (let index = 0; index < 200_000; index += 1) writer.append({ key: null, value: `${index}`, timestamp: index })
    const columns = new RecordColumns()
    columns.fill(only(writer.finish(NO_PRODUCER, 'zstd')))
    expect(columns.count).toBe(200_000)
    expect(columns.valueAt(199_999)?.toString()).toBe('199999')
  })
})

test('markers say how their transaction ended', () => {
  expect(markerOf(only(bytesOf(vector('commit marker'))))).toBe('commit')
  expect(markerOf(only(bytesOf(vector('abort marker'))))).toBe('abort')
})

test('several batches in a row are all read, and a last one that is cut off is left for the next fetch', () => {
  const two = Buffer.concat([bytesOf(vector('plain')), bytesOf(vector('lz4'))])
  expect(readBatches(two)).toHaveLength(2)
  for (const cut of [1, 60, 3_000]) expect(readBatches(two.subarray(0, two.length - cut)).length).toBe(1)
  expect(readBatches(two.subarray(0, 11))).toEqual([])
})

describe('a damaged batch', () => {
  const plain = bytesOf(vector('plain'))

  test('is told by its checksum, whichever byte it is', () => {
    for (let at = 21; at < plain.length; at += 1) {
      const damaged = Buffer.from(plain)
      damaged[at] = (damaged[at] ?? 0) ^ 0x10
      expect(() => readBatches(damaged)).toThrow(/the batch at offset 0 has checksum \d+ and bytes of \d+/)
    }
  })

  test('of an old format, an unknown compression or an impossible size is told by what it claims', () => {
    const with_ = (change: (bytes: Buffer) => void): Buffer => {
      const bytes = Buffer.from(plain)
      change(bytes)
      bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
      return bytes
    }
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [with_((bytes) => bytes.writeInt8(1, 16)), /a batch of format 1 at offset 0/],
      [with_((bytes) => bytes.writeInt16BE(7, 21)), /compressed by method 7/],
      [with_((bytes) => bytes.writeInt32BE(-1, 57)), /claims -1 records/],
      [with_((bytes) => bytes.writeInt32BE(2 ** 31 - 1, 57)), /claims 2147483647 records over 5 offsets/],
      [with_((bytes) => bytes.writeInt32BE(3, 8)), /a batch of 15 bytes/],
      [with_((bytes) => bytes.writeInt32BE(-13, 8)), /a batch of -1 bytes/],
      [with_((bytes) => bytes.writeInt32BE(2 ** 31 - 1, 0)), /a number beyond 2\^53/],
    ]
    for (const [bytes, message] of cases) expect(() => readBatches(bytes)).toThrow(message)
  })

  test('that claims more records than it has bytes for costs no memory', () => {
    const claims = Buffer.from(plain)
    claims.writeInt32BE(2 ** 31 - 2, 23)
    claims.writeInt32BE(2 ** 31 - 1, 57)
    claims.writeUInt32BE(crc32c(claims.subarray(21)), 17)
    expect(() => recordsOf(only(claims))).toThrow(/claims 2147483647 records in \d+ bytes/)
  })

  test('with a right checksum is an error or other records, and always ends', () => {
    const sound: Readonly<Record<Compression, Buffer>> = {
      none: plain,
      gzip: bytesOf(vector('gzip')),
      snappy: bytesOf(vector('snappy')),
      lz4: bytesOf(vector('lz4')),
      zstd: bytesOf(vector('zstd')),
    }
    const changes = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
      minLength: 1,
      maxLength: 8,
    })
    let errors = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...COMPRESSIONS),
        changes,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (name, all, cut) => {
          const bytes = Buffer.from(sound[name])
          for (const [where, byte] of all) bytes[21 + Math.floor(where * (bytes.length - 22))] = byte
          const damaged = cut < 0.3 ? bytes.subarray(0, Math.max(62, Math.floor(bytes.length * cut * 3))) : bytes
          damaged.writeInt32BE(damaged.length - 12, 8)
          damaged.writeUInt32BE(crc32c(damaged.subarray(21)), 17)
          if (orMalformed(() => readAll(damaged)) === 'malformed') errors += 1
        },
      ),
      { numRuns: 3_000 },
    )
    expect(errors).toBeGreaterThan(500)
  })

  test('or anything else at all is an error or nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const read = orMalformed(() => readBatches(Buffer.from(bytes), { checksCrc: false }).map(recordsOf))
        expect(read).toBeDefined()
      }),
      { numRuns: 2_000 },
    )
  })
})
