/**
 * Bytes of keyed state: a segment is a row of chunks, each a length and a msgpack array [keys, indexes of the dead, one column per
 * state]. The only file of the engine that imports a vendor package.
 */
import { Packr, Unpackr } from 'msgpackr'

const OPTIONS = { useRecords: true, moreTypes: true }
const packr = new Packr(OPTIONS)
const unpackr = new Unpackr(OPTIONS)

/** Entries of one chunk as columns; `dead` are tombstones (their cells are null). */
export type Chunk = readonly [keys: readonly string[], dead: readonly number[], columns: readonly (readonly unknown[])[]]

export function encodeChunk(chunk: Chunk): Uint8Array {
  const body = packr.pack(chunk)
  const bytes = Buffer.allocUnsafe(4 + body.byteLength)
  bytes.writeUInt32LE(body.byteLength, 0)
  body.copy(bytes, 4)
  return bytes
}

export function decodeSegment(bytes: Uint8Array): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const chunks: Chunk[] = []
  for (let at = 0; at < bytes.byteLength; ) {
    const length = view.getUint32(at, true)
    chunks.push(unpackr.unpack(bytes.subarray(at + 4, at + 4 + length)) as Chunk)
    at += 4 + length
  }
  return chunks
}
