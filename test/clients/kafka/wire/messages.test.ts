/** Every request and answer, byte by byte as Kafka's own Java client writes and reads them (vectors/GoldenVectors.java). */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ByteWriter } from '../../../../clients/kafka/wire/byte-writer.ts'
import { EARLIEST } from '../../../../clients/kafka/wire/list-offsets.ts'
import { orMalformed } from '../malformed.ts'
import { cases } from './message-cases.ts'

interface Vector {
  readonly sample: number
  readonly type: string
  readonly version: number
  readonly hex: string
}

const url = new URL('../vectors/messages.json', import.meta.url)
const vectors = JSON.parse(readFileSync(url, 'utf8')) as readonly Vector[]

/** Each vector with the case of its sample. */
const pairs = vectors.map((vector) => {
  const one = cases[vector.sample]
  if (one === undefined || one.type !== vector.type)
    throw new Error(`${vector.type}: sample ${vector.sample} is ${one?.type}`)
  return { vector, one }
})

describe('as the Java client', () => {
  for (const { vector, one } of pairs) {
    test(`${vector.type} ${vector.version}`, () => {
      const { ours, right } = one.compare(Buffer.from(vector.hex, 'hex'), vector.version)
      expect(ours).toEqual(right)
    })
  }

  test('every version that we speak has a vector', () => {
    const spoken = cases.flatMap(({ type, versions: [min, max] }) =>
      Array.from({ length: max - min + 1 }, (_, index) => `${type} ${min + index}`),
    )
    const shown = new Set(vectors.map(({ type, version }) => `${type} ${version}`))
    expect([...new Set(spoken)].filter((one) => !shown.has(one))).toEqual([])
  })
})

describe('an answer that is not what it says', () => {
  const answers = pairs.filter(({ vector }) => vector.type.endsWith('Response'))

  test('is an error at every place where it can be cut off', () => {
    for (const { vector, one } of answers) {
      const bytes = Buffer.from(vector.hex, 'hex')
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => one.decode(bytes.subarray(0, length), vector.version), `${vector.type} at ${length}`).toThrow(
          /^malformed Kafka data/,
        )
      }
    }
  })

  test('is an error or another answer with any byte changed, and nothing else', () => {
    let errors = 0
    for (const { vector, one } of answers) {
      const bytes = Buffer.from(vector.hex, 'hex')
      for (let at = 0; at < bytes.length; at += 1) {
        for (const value of [0, 0x7f, 0x80, 0xff]) {
          const damaged = Buffer.from(bytes)
          damaged[at] = value
          if (orMalformed(() => one.decode(damaged, vector.version)) === 'malformed') errors += 1
        }
      }
    }
    expect(errors).toBeGreaterThan(100)
  })
})

test('the beginning of a partition can be asked for, before any time', () => {
  const writer = new ByteWriter()
  writer.int64(EARLIEST)
  expect(writer.written.readBigInt64BE()).toBe(-2n)
})
