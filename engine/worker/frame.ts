/**
 * What travels on a socket between processes of one job: frames, one after another.
 *
 *   magic   kind   channel   length   payload
 *   2       2      4         4        length            bytes, little endian
 *
 * - C8: nothing is kept but the frame that is arriving, and no frame is longer than the reader allows.
 * - A payload is passed on as it arrived, without a copy where it lies in one piece; it is the reader's only until the call returns.
 */
import { assert, TerminalError } from '../api/index.ts'

/** The numbers are the protocol. */
export const FRAME_KINDS = { hello: 1, control: 2, records: 3, barrier: 4, ended: 5, credit: 6 } as const
export type FrameKind = keyof typeof FRAME_KINDS

export interface Frame {
  readonly kind: FrameKind
  /** 0 where there is only one. */
  readonly channel: number
  readonly payload: Buffer
}

export const HEADER_BYTES = 12
/** One record may be large; more than this is a mistake, not a record. */
export const MAX_PAYLOAD_BYTES = 256 * 1024 * 1024
/** As much as somebody may send who has not said yet who it is. */
export const MAX_HELLO_BYTES = 4_096

const MAGIC = 0x534c
const KIND_OF = new Map<number, FrameKind>(
  (Object.entries(FRAME_KINDS) as readonly (readonly [FrameKind, number])[]).map(([kind, code]) => [code, kind]),
)

/** Not what this protocol says: the connection is of no use any more. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** Header and payload in one piece if `head` is all of it; else its bytes are `head` and then `rest`. */
export function frameOf(
  kind: FrameKind,
  channel: number,
  parts: { readonly head: Uint8Array; readonly rest?: Uint8Array },
): Buffer {
  const { head, rest } = parts
  const length = head.byteLength + (rest?.byteLength ?? 0)
  if (length > MAX_PAYLOAD_BYTES) {
    throw new TerminalError(`${length} bytes at once are more than the ${MAX_PAYLOAD_BYTES} that a frame may hold`, {
      code: 'SLUICE_RECORD_TOO_LARGE',
    })
  }
  assert(
    Number.isInteger(channel) && channel >= 0 && channel <= 0xffff_ffff,
    () => `channel ${channel} cannot be numbered`,
  )
  const frame = Buffer.allocUnsafe(HEADER_BYTES + head.byteLength)
  frame.writeUInt16LE(MAGIC, 0)
  frame.writeUInt16LE(FRAME_KINDS[kind], 2)
  frame.writeUInt32LE(channel, 4)
  frame.writeUInt32LE(length, 8)
  frame.set(head, HEADER_BYTES)
  return frame
}

interface Header {
  readonly kind: FrameKind
  readonly channel: number
  readonly frameBytes: number
}

export class FrameReader {
  /** May be raised when it is known who sends. */
  maxPayloadBytes: number
  readonly #take: (frame: Frame) => void
  /** The beginning of a frame, up to `#heldBytes`; as long as the frame once its header is complete. */
  #held: Buffer | undefined
  #heldBytes = 0

  constructor(take: (frame: Frame) => void, maxPayloadBytes = MAX_PAYLOAD_BYTES) {
    this.#take = take
    this.maxPayloadBytes = maxPayloadBytes
  }

  /** Nothing has arrived of the next frame. */
  get isBetweenFrames(): boolean {
    return this.#held === undefined
  }

  /** Takes what arrived, whatever it begins and ends with. @throws ProtocolError, and what `take` throws */
  push(chunk: Buffer): void {
    let at = this.#held === undefined ? 0 : this.#fill(chunk)
    while (chunk.length - at >= HEADER_BYTES) {
      const header = this.#header(chunk, at)
      if (chunk.length - at < header.frameBytes) {
        this.#hold(chunk.subarray(at), header.frameBytes)
        return
      }
      this.#pass(header, chunk.subarray(at + HEADER_BYTES, at + header.frameBytes))
      at += header.frameBytes
    }
    if (at < chunk.length) this.#hold(chunk.subarray(at), HEADER_BYTES)
  }

  /** Goes on with the frame that has begun. Where in `chunk` the next one begins. */
  #fill(chunk: Buffer): number {
    let at = 0
    while (this.#held !== undefined && at < chunk.length) {
      at += this.#copy(chunk, at)
      if (this.#heldBytes < this.#held.length) continue
      const held = this.#held
      const header = this.#header(held, 0)
      if (header.frameBytes > held.length) {
        this.#hold(held, header.frameBytes)
        continue
      }
      this.#held = undefined
      this.#pass(header, held.subarray(HEADER_BYTES))
    }
    return at
  }

  #copy(chunk: Buffer, from: number): number {
    if (this.#held === undefined) return 0
    const copied = chunk.copy(this.#held, this.#heldBytes, from)
    this.#heldBytes += copied
    return copied
  }

  #hold(begun: Buffer, expectedBytes: number): void {
    this.#held = Buffer.allocUnsafe(expectedBytes)
    this.#heldBytes = begun.copy(this.#held)
  }

  #header(bytes: Buffer, at: number): Header {
    const magic = bytes.readUInt16LE(at)
    if (magic !== MAGIC) throw new ProtocolError(`a frame begins with ${hex(magic)}, not with ${hex(MAGIC)}`)
    const code = bytes.readUInt16LE(at + 2)
    const kind = KIND_OF.get(code)
    if (kind === undefined) throw new ProtocolError(`no frame is of kind ${code}`)
    const length = bytes.readUInt32LE(at + 8)
    if (length > this.maxPayloadBytes) {
      throw new ProtocolError(`a ${kind} frame of ${length} bytes; ${this.maxPayloadBytes} are allowed`)
    }
    return { kind, channel: bytes.readUInt32LE(at + 4), frameBytes: HEADER_BYTES + length }
  }

  #pass({ kind, channel }: Header, payload: Buffer): void {
    this.#take({ kind, channel, payload })
  }
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}
