/**
 * The two ends of a channel between workers.
 *
 *   task ─▶ RemoteChannelWriter ═ records, barrier, ended ═▶ RemoteChannelReader ─▶ ChannelQueue ─▶ task
 *                   ◀═══════════════════ credit ═══════════════════
 *
 * - C8: the writer has credit while fewer of its records than the capacity were not taken from the queue, wherever they are: in a socket
 *   or in the queue.
 * - T2: the frames of a channel go through one socket, so its order is kept.
 */
import { TerminalError, unreachable } from '../api/index.ts'
import { ChannelQueue, type ChannelItem, type ChannelWriter, type RecordBatch } from '../task/channel.ts'
import type { FramePayload } from './connection.ts'
import { MAX_PAYLOAD_BYTES, ProtocolError, type Frame, type FrameKind } from './frame.ts'
import { decodeBatch, encodeBatch } from './record-codec.ts'

/** What of a connection a channel needs. */
export interface FrameSender {
  send(kind: FrameKind, channel: number, payload?: FramePayload): void
}

export interface RemoteChannelOptions {
  readonly connection: FrameSender
  /** Numbers the channel in both processes alike. */
  readonly channel: number
  /** Records on their way before the writer has to wait; the same at both ends. */
  readonly capacity: number
  /** Whose records they are. */
  readonly operator: string
  /** Of a frame. */
  readonly maxPayloadBytes?: number
}

/** Credit is given in portions of the capacity: a frame for each batch taken would be half of all frames. */
const CREDIT_PORTIONS = 4

export class RemoteChannelWriter implements ChannelWriter {
  readonly #options: RemoteChannelOptions
  /** Sent, and not known to be taken. */
  #outstanding = 0
  #credit: PromiseWithResolvers<void> | undefined

  constructor(options: RemoteChannelOptions) {
    this.#options = options
  }

  get hasCredit(): boolean {
    return this.#outstanding < this.#options.capacity
  }

  whenCredit(): Promise<void> {
    if (this.hasCredit) return Promise.resolve()
    this.#credit ??= Promise.withResolvers()
    return this.#credit.promise
  }

  /** @throws TerminalError for records that cannot leave the process */
  send(item: ChannelItem): void {
    const { connection, channel } = this.#options
    switch (item.kind) {
      case 'records':
        return this.#sendRecords(item)
      case 'barrier':
        connection.send('barrier', channel, encodeBarrier(item))
        return
      case 'ended':
        connection.send('ended', channel)
        return
      default:
        unreachable(item)
    }
  }

  /** Batches are counted in records: many large ones are more than one frame. */
  #sendRecords(batch: RecordBatch): void {
    const { connection, channel, operator, maxPayloadBytes = MAX_PAYLOAD_BYTES } = this.#options
    const encoded = encodeBatch(batch, operator)
    const sizeBytes = encoded.head.byteLength + encoded.rest.byteLength
    const count = batch.values.length
    if (sizeBytes > maxPayloadBytes) {
      if (count > 1) return this.#sendHalves(batch)
      throw new TerminalError(
        `a record of "${operator}" has ${sizeBytes} bytes; at most ${maxPayloadBytes} can go to another process`,
        { code: 'SLUICE_RECORD_TOO_LARGE' },
      )
    }
    connection.send('records', channel, encoded)
    this.#outstanding += count
  }

  #sendHalves({ values, timestamps }: RecordBatch): void {
    const half = values.length >>> 1
    this.#sendRecords({ values: values.slice(0, half), timestamps: timestamps.slice(0, half) })
    this.#sendRecords({ values: values.slice(half), timestamps: timestamps.slice(half) })
  }

  /** Of the `credit` frame of this channel. @throws ProtocolError */
  granted(payload: Buffer): void {
    const records = payload.length === 4 ? payload.readUInt32LE(0) : 0
    if (records === 0 || records > this.#outstanding) {
      throw new ProtocolError(`credit for ${records} records, of ${this.#outstanding} that were sent`)
    }
    this.#outstanding -= records
    if (!this.hasCredit) return
    this.#credit?.resolve()
    this.#credit = undefined
  }
}

export class RemoteChannelReader {
  /** Of the task that reads. */
  readonly queue: ChannelQueue
  readonly #options: Omit<RemoteChannelOptions, 'operator'>
  #taken = 0

  constructor(options: Omit<RemoteChannelOptions, 'operator'>) {
    this.#options = options
    this.queue = new ChannelQueue(options.capacity, (records) => this.#took(records))
  }

  /** `records`, `barrier` or `ended` of this channel. @throws ProtocolError */
  received({ kind, payload }: Frame): void {
    switch (kind) {
      case 'records':
        return this.queue.send({ kind, ...decodeBatch(payload) })
      case 'barrier':
        return this.queue.send({ kind, ...decodeBarrier(payload) })
      case 'ended':
        return this.queue.send({ kind })
      case 'hello':
      case 'control':
      case 'credit':
        throw new ProtocolError(`a ${kind} frame is not for who reads a channel`)
      default:
        unreachable(kind)
    }
  }

  /** What was not granted is less than a portion, so the writer never waits for it. */
  #took(records: number): void {
    this.#taken += records
    if (this.#taken < this.#options.capacity / CREDIT_PORTIONS) return
    const head = Buffer.allocUnsafe(4)
    head.writeUInt32LE(this.#taken)
    this.#taken = 0
    this.#options.connection.send('credit', this.#options.channel, { head })
  }
}

const BARRIER_BYTES = 16

/** No base is not a number. */
function encodeBarrier({
  checkpoint,
  base,
}: {
  readonly checkpoint: number
  readonly base: number | null
}): FramePayload {
  const head = Buffer.allocUnsafe(BARRIER_BYTES)
  head.writeDoubleLE(checkpoint, 0)
  head.writeDoubleLE(base ?? Number.NaN, 8)
  return { head }
}

function decodeBarrier(payload: Buffer): { readonly checkpoint: number; readonly base: number | null } {
  if (payload.length !== BARRIER_BYTES) throw new ProtocolError(`a barrier of ${payload.length} bytes`)
  const checkpoint = payload.readDoubleLE(0)
  const base = payload.readDoubleLE(8)
  if (Number.isSafeInteger(checkpoint) && (Number.isNaN(base) || Number.isSafeInteger(base))) {
    return { checkpoint, base: Number.isNaN(base) ? null : base }
  }
  throw new ProtocolError(`a barrier of checkpoint ${checkpoint} with base ${base}`)
}
