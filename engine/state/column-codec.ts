/**
 * Columns: the same part of many entries, written together. Numbers that fit become an Int32Array or Float64Array, anything else
 * msgpack; strings that name keys are joined, with their lengths in UTF-16 units.
 */
import { CorruptCheckpointError } from '../api/index.ts'
import { UNSET } from './entry.ts'
import { type ByteReader, type ByteWriter } from './byte-buffer.ts'
import { assertStorable } from './storable.ts'
import { packValues, unpackValues } from './value-codec.ts'

const PACKED = 0
const INT32 = 1
const FLOAT64 = 2

export type Column = ArrayLike<unknown>

/** `what` names the column in the message when a value cannot be kept. Cells may be {@link UNSET}. */
export function writeColumn(writer: ByteWriter, cells: readonly unknown[], what: string): void {
  const mode = modeOf(cells)
  if (mode !== PACKED) {
    writer.byte(mode)
    const numbers = mode === INT32 ? Int32Array.from(cells as number[]) : Float64Array.from(cells as number[])
    writer.bytes(new Uint8Array(numbers.buffer))
    return
  }
  const unset: number[] = []
  let packed = cells
  for (let row = 0; row < cells.length; row += 1) {
    if (cells[row] === UNSET) unset.push(row)
    else assertStorable(cells[row], what)
  }
  if (unset.length > 0) packed = cells.map((cell) => (cell === UNSET ? null : cell))
  writer.byte(PACKED)
  writeIndexes(writer, unset)
  // A -0 on its own would be packed as 0.
  writeIndexes(writer, negativeZeros(cells))
  writer.bytes(packValues(packed))
}

export function readColumn(reader: ByteReader): Column {
  const mode = reader.byte()
  if (mode === INT32) return new Int32Array(aligned(reader.bytes()))
  if (mode === FLOAT64) return new Float64Array(aligned(reader.bytes()))
  if (mode !== PACKED)
    throw new CorruptCheckpointError(`column mode ${mode} is not known`, { code: 'SLUICE_CHECKPOINT_CORRUPT' })
  const unset = readIndexes(reader)
  const negative = readIndexes(reader)
  const values = [...unpackValues(reader.bytes())]
  for (const row of unset) values[row] = UNSET
  for (const row of negative) values[row] = -0
  return values
}

export function writeIndexes(writer: ByteWriter, indexes: readonly number[]): void {
  const numbers = Uint32Array.from(indexes)
  writer.bytes(new Uint8Array(numbers.buffer))
}

export function readIndexes(reader: ByteReader): Uint32Array {
  return new Uint32Array(aligned(reader.bytes()))
}

export function writeKeys(writer: ByteWriter, keys: readonly string[]): void {
  const first = keys[0]?.length ?? 0
  let longest = first
  let isUniform = true
  for (const key of keys) {
    if (key.length !== first) isUniform = false
    if (key.length > longest) longest = key.length
  }
  writer.text(keys.join(''))
  // One length for all, or one per key, in as many bytes as the longest needs.
  const width = isUniform ? 0 : longest < 256 ? 1 : 4
  writer.byte(width)
  if (width === 0) {
    writer.uint32(first)
    return
  }
  const lengths = width === 1 ? new Uint8Array(keys.length) : new Uint32Array(keys.length)
  for (let row = 0; row < keys.length; row += 1) lengths[row] = keys[row]?.length ?? 0
  writer.bytes(new Uint8Array(lengths.buffer))
}

export function readKeys(reader: ByteReader, count: number): readonly string[] {
  const joined = reader.text()
  const width = reader.byte()
  const keys: string[] = []
  if (width === 0) {
    const length = reader.uint32()
    for (let row = 0, at = 0; row < count; row += 1, at += length) keys.push(joined.slice(at, at + length))
    return keys
  }
  const lengths = width === 1 ? reader.bytes() : new Uint32Array(aligned(reader.bytes()))
  let at = 0
  for (const length of lengths) {
    keys.push(joined.slice(at, at + length))
    at += length
  }
  return keys
}

function modeOf(cells: readonly unknown[]): number {
  let mode = INT32
  for (let row = 0; row < cells.length; row += 1) {
    const cell = cells[row]
    if (typeof cell !== 'number') return PACKED
    if (mode === INT32 && ((cell | 0) !== cell || (cell === 0 && 1 / cell < 0))) mode = FLOAT64
  }
  return mode
}

function negativeZeros(cells: readonly unknown[]): readonly number[] {
  const rows: number[] = []
  for (let row = 0; row < cells.length; row += 1) if (Object.is(cells[row], -0)) rows.push(row)
  return rows
}

/** Typed arrays need their bytes aligned. */
function aligned(bytes: Buffer): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength)
  new Uint8Array(copy).set(bytes)
  return copy
}
