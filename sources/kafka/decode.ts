/**
 * Bytes of a record to a value. A decoder looks at one record at a time; what it throws makes that record a bad one, and the policy of the
 * source says what becomes of it. A TerminalError is no fault of the record and fails the job.
 */
import { isUtf8 } from 'node:buffer'
import { checkSchema, issuesText, TerminalError, type SchemaLike } from '../../engine/api/index.ts'

/** How the bytes of a value or a key become what the job sees. */
export interface ValueDecoder<T> {
  /**
   * The value that lies in `bytes` from `start` to `end`. Called again for the same record once the promise of a {@link LookupNeeded}
   * that it threw has resolved.
   */
  decodeAt(bytes: Buffer, start: number, end: number): T
  /** What it returns are views of `bytes`: they must not keep more alive than their batch. */
  readonly keepsBytes?: boolean
}

/** Thrown by a decoder that has to look something up first: neither it nor its record has failed. */
export class LookupNeeded extends Error {
  /** Of the look-up. Its rejection ends the attempt. */
  readonly done: Promise<void>

  constructor(done: Promise<void>) {
    super('a decoder has to look something up first')
    this.done = done
  }
}

/** As it is. Views: a value that is kept keeps its batch in memory. */
export function bytesValue(): ValueDecoder<Buffer> {
  return { keepsBytes: true, decodeAt: (bytes, start, end) => bytes.subarray(start, end) }
}

/** UTF-8; other bytes make a bad record. */
export function stringValue(): ValueDecoder<string> {
  return { decodeAt: textAt }
}

/** JSON in UTF-8; with a schema each value is checked (synchronously), and what does not pass makes a bad record. */
export function jsonValue<T = unknown>(schema?: SchemaLike<T>): ValueDecoder<T> {
  if (schema === undefined) return { decodeAt: (bytes, start, end) => JSON.parse(textAt(bytes, start, end)) as T }
  return {
    decodeAt(bytes, start, end) {
      const result = checkSchema(JSON.parse(textAt(bytes, start, end)), schema)
      if (result.issues === undefined) return result.value
      throw new SyntaxError(issuesText(result.issues))
    },
  }
}

/** Where decoders come from. */
export interface RegistryOptions<T> {
  /**
   * How values of this schema are decoded: from the registry, through the user's library. Asked once for each schema, at its first record;
   * what it rejects with ends the attempt, and it is asked again in the next.
   */
  readonly decoderOf: (schemaId: number) => PayloadDecoder<T> | Promise<PayloadDecoder<T>>
}

/** The value of a payload, which is what stands behind the id of the schema; what it throws makes the record a bad one. */
export type PayloadDecoder<T> = (payload: Buffer) => T

/** A byte of 0 and the id of a schema before the value. */
const REGISTRY_HEADER_BYTES = 5

/** Values of a schema registry, in the format that Confluent's began: a byte of 0, the id of the schema in four bytes, the payload. */
export function registryValue<T>({ decoderOf }: RegistryOptions<T>): ValueDecoder<T> {
  const decoders = new Map<number, PayloadDecoder<T>>()
  const lookups = new Map<number, LookupNeeded>()
  const note = (schemaId: number, decode: PayloadDecoder<T>): PayloadDecoder<T> => {
    if (typeof decode !== 'function') {
      throw new TerminalError(
        `decoderOf(${schemaId}) of a registryValue gave no function; give one from payload to value`,
        {
          code: 'SLUICE_KAFKA_SOURCE_OPTION',
        },
      )
    }
    decoders.set(schemaId, decode)
    return decode
  }
  const lookUp = (schemaId: number): PayloadDecoder<T> => {
    const pending = lookups.get(schemaId)
    if (pending !== undefined) throw pending
    const found = decoderOf(schemaId)
    if (!(found instanceof Promise)) return note(schemaId, found)
    const lookup = new LookupNeeded(
      found.then((decode) => void note(schemaId, decode)).finally(() => lookups.delete(schemaId)),
    )
    lookups.set(schemaId, lookup)
    throw lookup
  }
  return {
    keepsBytes: true,
    decodeAt(bytes, start, end) {
      if (end - start < REGISTRY_HEADER_BYTES || bytes[start] !== 0) {
        throw new SyntaxError('it does not begin with a 0 and the id of a schema, as values of a schema registry do')
      }
      const schemaId = bytes.readInt32BE(start + 1)
      const decode = decoders.get(schemaId) ?? lookUp(schemaId)
      return decode(bytes.subarray(start + REGISTRY_HEADER_BYTES, end))
    },
  }
}

const REPLACEMENT = '\uFFFD'

function textAt(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end)
  // Only then can it hold bytes that are no UTF-8.
  if (text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(start, end))) throw new SyntaxError('not valid UTF-8')
  return text
}
