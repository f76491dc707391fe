/** Compression of batches: what is compressed comes back, and what is damaged, cut off or a bomb ends in an error. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compress, COMPRESSIONS, decompress } from '../../../clients/kafka/compression/codec.ts'
import { orMalformed } from './malformed.ts'

const MEGABYTE = 1024 * 1024
const compressing = COMPRESSIONS.filter((one) => one !== 'none')

/** Bytes with repetitions near and far, and without any. */
const content = fc.oneof(
  fc.uint8Array({ maxLength: 2_000 }),
  fc
    .array(fc.tuple(fc.string({ maxLength: 30 }), fc.nat(200)), { maxLength: 30 })
    .map((parts) => Buffer.from(parts.map(([text, times]) => text.repeat(times)).join(''))),
)

/** One that claims everything and holds little. */
const bombs: Readonly<Record<(typeof compressing)[number], Buffer>> = {
  gzip: gzipSync(Buffer.alloc(64 * MEGABYTE)),
  zstd: zstdCompressSync(Buffer.alloc(64 * MEGABYTE)),
  lz4: compress('lz4', Buffer.alloc(64 * MEGABYTE)),
  snappy: compress('snappy', Buffer.alloc(64 * MEGABYTE)),
}

describe.each(compressing)('%s', (compression) => {
  test('gives back what was compressed', () => {
    fc.assert(
      fc.property(content, (bytes) => {
        const buffer = Buffer.from(bytes)
        expect(decompress(compression, compress(compression, buffer)).equals(buffer)).toBe(true)
      }),
    )
  })

  test('gives back what is larger than its blocks, and makes it smaller', () => {
    const text = Array.from({ length: 40_000 }, (_, index) => `line ${(index * 7_919) % 1_000}`).join('\n')
    const buffer = Buffer.from(text)
    const compressed = compress(compression, buffer)
    expect(compressed.length).toBeLessThan(buffer.length * 0.7)
    expect(decompress(compression, compressed).equals(buffer)).toBe(true)
  })

  test('ends at the limit, not in a gigabyte', () => {
    const before = process.memoryUsage().arrayBuffers
    expect(() => decompress(compression, bombs[compression], MEGABYTE)).toThrow(
      /malformed Kafka data: a compressed batch is larger than 1048576 bytes/,
    )
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MEGABYTE)
  })

  test('is an error where it is damaged, or gives other bytes within the limit', () => {
    const sound = compress(compression, Buffer.from('{"customer":"a","cents":12}'.repeat(50)))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(sound.length),
        (changes, length) => {
          const damaged = Buffer.from(sound.subarray(0, length))
          for (const [at, byte] of changes) if (at < length) damaged[at] = byte
          expect(orMalformed(() => decompress(compression, damaged, MEGABYTE)).length).toBeLessThanOrEqual(MEGABYTE)
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

test('a bare snappy block is read too', () => {
  // "abcabcabcabc": three literals, then nine bytes from three before.
  const bare = Buffer.from([12, 2 << 2, 0x61, 0x62, 0x63, (8 << 2) | 2, 3, 0])
  expect(decompress('snappy', bare).toString()).toBe('abcabcabcabc')
})

test('a snappy block that claims more than it can hold costs no memory', () => {
  const claims = Buffer.from([0xff, 0xff, 0xff, 0x3f, 0, 0x61])
  expect(() => decompress('snappy', claims)).toThrow(/a snappy block of 6 bytes claims to hold 134217727/)
})
