/**
 * Records as they cross an edge: flat arrays, never an envelope per record.
 */

/**
 * The event time of a record that has none. Compare with `=== NO_TIMESTAMP`. Real timestamps are milliseconds since 1970.
 */
export const NO_TIMESTAMP = Number.MIN_SAFE_INTEGER

/** What a source returns from one poll: bounded, may be empty. Records are immutable once emitted. */
export interface Batch<T> {
  readonly values: readonly T[]
  /** Event time of each value, same length, milliseconds since 1970. Left out when the source knows none. */
  readonly timestamps?: readonly number[] | Float64Array
  /** Records of this batch that the source dropped under a `skip` policy: counted, never silent. */
  readonly skipped?: number
  /** Records for side outputs of the source, by their name, without event time; read with `stream.side(…)`, dropped when nobody does. */
  readonly sides?: Readonly<Record<string, readonly unknown[]>>
}

declare const carried: unique symbol
/** A second way out of an operator, for records of another kind: late ones, bad ones. */
export interface SideOutput<T> {
  readonly name: string
  readonly [carried]?: T
}

/**
 * A second output of a source, a process or a connect: `emitTo(output, value)` there, `.side(output)` on the stream behind.
 * @param name unique within the operator: letters, digits, `_` and `-`
 */
export function sideOutput<T>(name: string): SideOutput<T> {
  return { name }
}

/** What a sink is given. The engine reuses both arrays after `write` has resolved: copy what must live longer. */
export interface SinkBatch<T> {
  readonly values: readonly T[]
  /** Same length as `values`; {@link NO_TIMESTAMP} where a record has none. */
  readonly timestamps: readonly number[]
}

/** Bytes out of a value and back. `version` is stored beside the bytes; `decode` must read every version ever written. */
export interface Codec<T> {
  readonly version: number
  /** Must not change `value`; the bytes are kept for as long as a checkpoint holds them. */
  encode(value: T): Uint8Array
  /** @throws CorruptCheckpointError on bytes it did not write */
  decode(bytes: Uint8Array, version: number): T
}

/** A codec for plain JSON values. */
export function jsonCodec<T>(version = 1): Codec<T> {
  return {
    version,
    encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T,
  }
}
