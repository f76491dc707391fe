/**
 * Values to bytes and back, many at once: the only file of the engine that imports a vendor package. undefined, bigint, NaN, -0 outside
 * objects, Date, Map, Set and bytes survive.
 */
import { Packr, Unpackr } from 'msgpackr'

/** Records: objects of one shape name their properties once per call. Instances are made per format version, never changed. */
const OPTIONS = { useRecords: true, moreTypes: true, useBigIntExtension: true, copyBuffers: true }
const packr = Object.assign(new Packr(OPTIONS), { writeFunction: refuseFunction })
const unpackr = new Unpackr(OPTIONS)

/** The bytes are the caller's. @throws Error for functions and symbols, which would come back as something else */
export function packValues(values: readonly unknown[]): Uint8Array {
  return packr.pack(values)
}

export function unpackValues(bytes: Uint8Array): readonly unknown[] {
  return unpackr.unpack(bytes) as readonly unknown[]
}

/** As it would come back from a checkpoint; shares nothing with `value`. */
export function copyValue(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? unpackValues(packValues([value]))[0] : value
}

function refuseFunction(): never {
  throw new TypeError('functions cannot be packed')
}
