/**
 * gzip and zstd, by node:zlib, on the thread pool: the event loop only hands chunks over (T3). What is written is a row of chunks, each
 * complete in itself (a gzip member, a zstd frame), which any tool reads as one: so a file is valid behind every chunk of it.
 */
import { constants, createGunzip, createZstdDecompress, gzip, zstdCompress } from 'node:zlib'

/** Both are part of Node. */
export type Compression = 'gzip' | 'zstd'

/** Text of one chunk: with less, chunks compress worse; with more, one takes longer than a write to disk should wait for. */
export const COMPRESSED_CHUNK_BYTES = 512 * 1024
/** Of output per round trip to the thread pool. */
const OUTPUT_BYTES = 128 * 1024

const EXTENSIONS: Readonly<Record<Compression, string>> = { gzip: '.gz', zstd: '.zst' }

export function extensionOf(compression: Compression): string {
  return EXTENSIONS[compression]
}

/** By the extension of a file's name. */
export function compressionByName(path: string): Compression | undefined {
  if (path.endsWith(EXTENSIONS.gzip)) return 'gzip'
  return path.endsWith(EXTENSIONS.zstd) ? 'zstd' : undefined
}

/** One chunk, with a checksum of its content. */
export function compress(bytes: Uint8Array, compression: Compression): Promise<Uint8Array> {
  const chunkSize = OUTPUT_BYTES
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, compressed: Uint8Array): void => {
      if (error === null) resolve(compressed)
      else reject(error)
    }
    if (compression === 'gzip') gzip(bytes, { chunkSize }, done)
    else zstdCompress(bytes, { chunkSize, params: { [constants.ZSTD_c_checksumFlag]: 1 } }, done)
  })
}

/** A stream that takes one or more chunks; `bytesWritten` says how much of its input it has used. */
export function decompressing(compression: Compression): ReturnType<typeof createGunzip> {
  const options = { chunkSize: OUTPUT_BYTES }
  return compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options)
}
