/** What one kind of request is: its key, the versions that we speak, and how it and its answer look in bytes. */
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'

export interface Api<Request, Response> {
  readonly name: string
  readonly key: number
  /** The one used is the highest that the broker has too: one above its highest is answered by a closed connection. */
  readonly minVersion: number
  readonly maxVersion: number
  /** From this version on strings and arrays are compact and structures end in tagged fields (default: all of ours). */
  readonly firstFlexible?: number
  encode(writer: ByteWriter, request: Request, version: number): void
  /** `bytes` lie behind the header. */
  decode(reader: ByteReader, version: number): Response
}

/** What every answer says, and the transport obeys. */
export interface Throttled {
  readonly throttleTimeMs: number
}
