/**
 * A batch of records to bytes and back, for a socket between two processes of the same version: nothing of it is ever stored.
 *
 *   count   timestamps' mode   values' mode   timestamps   values
 *   4       1                  1              by mode      the rest
 *
 * What survives is what state can keep (engine/state/value-codec.ts): JSON values, undefined, bigint, NaN, Date, Map, Set and bytes. An
 * instance of a class arrives as a plain object (or as what its toJSON gives), -0 within an object as 0, a lone surrogate as U+FFFD. A
 * function or a symbol is refused.
 */
import { messageOf, TerminalError } from '../api/index.ts'
import { packValues, unpackValues } from '../state/value-codec.ts'
import type { RecordBatch } from '../task/channel.ts'
import { ProtocolError } from './frame.ts'

const HEAD_BYTES = 6
/** Timestamps: one for all; a base and unsigned differences to it; all of them. */
const SAME = 0
const OFFSETS = 1
const EACH = 2
/** Values: msgpack, or numbers only. */
const PACKED = 0
const INT32 = 1
const FLOAT64 = 2

const LARGEST_OFFSET = 0xffff_ffff

export interface EncodedBatch {
  readonly head: Uint8Array
  readonly rest: Uint8Array
}

/** @param operator whose records they are, for the message. @throws TerminalError when they cannot leave the process */
export function encodeBatch({ values, timestamps }: RecordBatch, operator: string): EncodedBatch {
  const valuesMode = modeOfValues(values)
  return { head: encodeHead(timestamps, valuesMode), rest: encodeValues(values, valuesMode, operator) }
}

/** Shares nothing with `payload`. @throws ProtocolError */
export function decodeBatch(payload: Buffer): RecordBatch {
  if (payload.length < HEAD_BYTES) throw new ProtocolError(`a batch of ${payload.length} bytes has no head`)
  const count = payload.readUInt32LE(0)
  const timestampBytes = bytesOfTimestamps(payload.readUInt8(4), count)
  const valuesAt = HEAD_BYTES + timestampBytes
  if (payload.length < valuesAt) throw new ProtocolError(`a batch of ${count} records ends within its timestamps`)
  return {
    values: decodeValues(payload.readUInt8(5), payload.subarray(valuesAt), count),
    timestamps: decodeTimestamps(payload.readUInt8(4), payload.subarray(HEAD_BYTES, valuesAt), count),
  }
}

function encodeHead(timestamps: readonly number[], valuesMode: number): Uint8Array {
  const count = timestamps.length
  const { mode, base } = modeOfTimestamps(timestamps)
  const head = Buffer.allocUnsafe(HEAD_BYTES + bytesOfTimestamps(mode, count))
  head.writeUInt32LE(count, 0)
  head[4] = mode
  head[5] = valuesMode
  if (mode !== EACH) head.writeDoubleLE(base, HEAD_BYTES)
  if (mode === SAME) return head
  const width = mode === OFFSETS ? 4 : 8
  let at = HEAD_BYTES + (mode === OFFSETS ? 8 : 0)
  for (let index = 0; index < count; index += 1, at += width) {
    const timestamp = timestamps[index] ?? 0
    if (mode === OFFSETS) head.writeUInt32LE(timestamp - base, at)
    else head.writeDoubleLE(timestamp, at)
  }
  return head
}

function modeOfTimestamps(timestamps: readonly number[]): { readonly mode: number; readonly base: number } {
  let least = timestamps[0] ?? 0
  let most = least
  let isWhole = true
  for (let index = 0; index < timestamps.length; index += 1) {
    const timestamp = timestamps[index] ?? 0
    if (timestamp < least) least = timestamp
    if (timestamp > most) most = timestamp
    isWhole &&= Number.isSafeInteger(timestamp)
  }
  // Not a number compares as neither less nor more.
  if (!isWhole) return { mode: EACH, base: 0 }
  if (least === most) return { mode: SAME, base: least }
  return { mode: most - least <= LARGEST_OFFSET ? OFFSETS : EACH, base: least }
}

function bytesOfTimestamps(mode: number, count: number): number {
  switch (mode) {
    case SAME:
      return 8
    case OFFSETS:
      return 8 + count * 4
    case EACH:
      return count * 8
    default:
      throw new ProtocolError(`timestamps of mode ${mode} are not known`)
  }
}

function decodeTimestamps(mode: number, bytes: Buffer, count: number): readonly number[] {
  if (mode === SAME) return filled(count, bytes.readDoubleLE(0))
  const base = mode === OFFSETS ? bytes.readDoubleLE(0) : 0
  const timestamps: number[] = []
  for (let index = 0; index < count; index += 1) {
    timestamps.push(mode === OFFSETS ? base + bytes.readUInt32LE(8 + index * 4) : bytes.readDoubleLE(index * 8))
  }
  return timestamps
}

function filled(count: number, value: number): readonly number[] {
  const all: number[] = []
  for (let index = 0; index < count; index += 1) all.push(value)
  return all
}

/** A -0 on its own would be packed as 0, and a mere number costs more as msgpack. */
function modeOfValues(values: readonly unknown[]): number {
  let mode = INT32
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]
    if (typeof value !== 'number') return PACKED
    if (mode === INT32 && ((value | 0) !== value || Object.is(value, -0))) mode = FLOAT64
  }
  return values.length === 0 ? PACKED : mode
}

function encodeValues(values: readonly unknown[], mode: number, operator: string): Uint8Array {
  if (mode === PACKED) return pack(values, operator)
  const numbers = mode === INT32 ? Int32Array.from(values as number[]) : Float64Array.from(values as number[])
  return new Uint8Array(numbers.buffer)
}

function pack(values: readonly unknown[], operator: string): Uint8Array {
  for (const value of values) if (typeof value === 'object' && value !== null) refuseInstance(value, operator)
  try {
    return packValues(values)
  } catch (error) {
    throw new TerminalError(
      `a record of "${operator}" cannot go to another process: ${whatIsWrong(values) ?? messageOf(error)}. Records are plain ` +
        `objects, arrays, strings, numbers, booleans, null, undefined, bigint, Date, Map, Set and Uint8Array`,
      { code: 'SLUICE_RECORD_NOT_PLAIN', cause: error },
    )
  }
}

function decodeValues(mode: number, bytes: Buffer, count: number): readonly unknown[] {
  if (mode === PACKED) return unpack(bytes, count)
  if (mode !== INT32 && mode !== FLOAT64) throw new ProtocolError(`values of mode ${mode} are not known`)
  const width = mode === INT32 ? 4 : 8
  if (bytes.length !== count * width) throw new ProtocolError(`${bytes.length} bytes are not ${count} numbers`)
  const numbers: number[] = []
  for (let at = 0; at < bytes.length; at += width) {
    numbers.push(mode === INT32 ? bytes.readInt32LE(at) : bytes.readDoubleLE(at))
  }
  return numbers
}

function unpack(bytes: Buffer, count: number): readonly unknown[] {
  let values: unknown
  try {
    values = unpackValues(bytes)
  } catch (error) {
    throw new ProtocolError(`${bytes.length} bytes are no records: ${messageOf(error)}`, { cause: error })
  }
  if (!Array.isArray(values)) throw new ProtocolError('a batch holds no list of records')
  if (values.length !== count) throw new ProtocolError(`a batch of ${count} records holds ${values.length}`)
  return values
}

const DEEPEST = 200

/** An instance of a class would arrive as an object without its methods. What is within a record is not looked at: there are too many. */
function refuseInstance(value: object, operator: string): void {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === Array.prototype || prototype === null || isBuiltIn(value)) return
  const name: unknown = Reflect.get(value, 'constructor')
  const what = typeof name === 'function' ? name.name : 'a class'
  throw new TerminalError(
    `a record of "${operator}" is an instance of ${what}, which would lose its methods on the way to another process; ` +
      'map it to a plain object before',
    { code: 'SLUICE_RECORD_NOT_PLAIN' },
  )
}

/** What is packed as what it is. */
function isBuiltIn(value: object): boolean {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return true
  return [Date, Map, Set, Error, RegExp].some((one) => value instanceof one)
}

/** The way to the first thing that cannot be packed. */
function whatIsWrong(values: readonly unknown[]): string | undefined {
  for (const value of values) {
    const found = wrongIn(value, 'it', 0)
    if (found !== undefined) return found
  }
  return undefined
}

function wrongIn(value: unknown, path: string, depth: number): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return `${path} is a ${typeof value}`
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  if (depth > DEEPEST) return `it is nested more than ${DEEPEST} deep, or holds itself`
  for (const [name, member] of membersOf(value)) {
    const found = wrongIn(member, `${path}${name}`, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

function membersOf(value: object): readonly (readonly [string, unknown])[] {
  if (Array.isArray(value)) return value.map((member, index) => [`[${index}]`, member] as const)
  if (value instanceof Set) return [...value].map((member) => ['.values()', member] as const)
  if (value instanceof Map) {
    return [...value].flatMap(([key, member]) => [['.keys()', key] as const, ['.get()', member] as const])
  }
  return Object.entries(value).map(([name, member]) => [`.${name}`, member] as const)
}
