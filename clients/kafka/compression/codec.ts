/** Compression of record batches, by the number that a batch names it with. Decompressing is bounded, whatever the bytes claim. */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { unreachable } from '../../../engine/api/index.ts'
import { malformed } from '../wire/malformed.ts'
import { tooLarge } from './growing-buffer.ts'
import { compressLz4, decompressLz4 } from './lz4.ts'
import { compressSnappy, decompressSnappy } from './snappy.ts'

/** In the order of their numbers. */
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]

/** Brokers bound a batch as it is stored, 1 MiB by default; this bounds what it may become. */
export const MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024

export function compress(compression: Compression, bytes: Buffer): Buffer {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes)
    case 'snappy':
      return compressSnappy(bytes)
    case 'lz4':
      return compressLz4(bytes)
    case 'zstd':
      return zstdCompressSync(bytes)
    default:
      return unreachable(compression)
  }
}

/** @throws TerminalError for data that is damaged, or larger than `limitBytes` when it is decompressed */
export function decompress(
  compression: Compression,
  bytes: Buffer,
  limitBytes: number = MAX_DECOMPRESSED_BYTES,
): Buffer {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return bounded(limitBytes, () => gunzipSync(bytes, { maxOutputLength: limitBytes }))
    case 'snappy':
      return decompressSnappy(bytes, limitBytes)
    case 'lz4':
      return decompressLz4(bytes, limitBytes)
    case 'zstd':
      return bounded(limitBytes, () => zstdDecompressSync(bytes, { maxOutputLength: limitBytes }))
    default:
      return unreachable(compression)
  }
}

function bounded(limitBytes: number, run: () => Buffer): Buffer {
  try {
    return run()
  } catch (error) {
    const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    throw isTooLarge ? tooLarge(limitBytes, error) : malformed('compressed data that is damaged or cut off', error)
  }
}
