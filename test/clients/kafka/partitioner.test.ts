import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { murmur2, partitionOfKey } from '../../../clients/kafka/partitioner.ts'

interface Vector {
  readonly key: string
  readonly murmur2: number
  readonly of7: number
  readonly of128: number
}

const vectors = JSON.parse(readFileSync(new URL('vectors/keys.json', import.meta.url), 'utf8')) as readonly Vector[]

test('keys of any length go where the Java client sends them', () => {
  expect(vectors.length).toBeGreaterThan(30)
  for (const vector of vectors) {
    const key = Buffer.from(vector.key, 'hex')
    expect(murmur2(key)).toBe(vector.murmur2)
    expect(partitionOfKey(key, 7)).toBe(vector.of7)
    expect(partitionOfKey(key, 128)).toBe(vector.of128)
  }
})
