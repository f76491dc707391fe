/**
 * One exchange within a task that writes to it: hands what has gathered at its edge to the channels, where they have room.
 *
 * - C8: records are sent only with credit; until there is some, the task waits, and its inputs with it.
 * - T2: barriers and the end follow what was handed on before; all records must have been.
 */
import { assert } from '../api/index.ts'
import type { ExchangeEdge, OutputBuffer } from '../operators/exchange-edge.ts'
import type { ChannelItem, ChannelWriter } from './channel.ts'

/** Fewer wait for more, until the task rests, turns the event loop or comes to a barrier. */
const WORTH_SENDING = 64

export class OutputPort {
  readonly #edge: ExchangeEdge
  /** In the order of the subtasks that read; of a forward exchange one. */
  readonly #writers: readonly ChannelWriter[]

  constructor(edge: ExchangeEdge, writers: readonly ChannelWriter[]) {
    this.#edge = edge
    this.#writers = writers
  }

  /** Hands on what is worth it, or everything; a promise: some channel has no room yet. */
  flush(all: boolean): Promise<void> | undefined {
    const { buffers, exchange } = this.#edge
    let pending: Promise<void>[] | undefined
    for (let index = 0; index < buffers.length; index += 1) {
      const buffer = buffers[index]
      if (buffer === undefined || buffer.values.length < (all ? 1 : WORTH_SENDING)) continue
      const writers = exchange.partition.kind === 'broadcast' ? this.#writers : this.#writers.slice(index, index + 1)
      if (writers.every((writer) => writer.hasCredit)) {
        send(buffer, writers)
        continue
      }
      const sent = sendLater(buffer, writers)
      // Nobody waits for it when a later channel refuses its records at once.
      sent.catch(() => undefined)
      pending ??= []
      pending.push(sent)
    }
    return pending === undefined ? undefined : Promise.all(pending).then(() => undefined)
  }

  /** To every subtask, in one synchronous stretch. */
  send(item: Exclude<ChannelItem, { kind: 'records' }>): void {
    const isFlushed = this.#edge.buffers.every(({ values }) => values.length === 0)
    assert(isFlushed, () => `exchange to "${this.#edge.exchange.to}" has records before ${item.kind} (T2)`)
    for (const writer of this.#writers) writer.send(item)
  }
}

/** Nobody adds to the buffer meanwhile: the task waits. */
async function sendLater(buffer: OutputBuffer, writers: readonly ChannelWriter[]): Promise<void> {
  for (const writer of writers) if (!writer.hasCredit) await writer.whenCredit()
  send(buffer, writers)
}

function send(buffer: OutputBuffer, writers: readonly ChannelWriter[]): void {
  const { values, timestamps } = buffer
  buffer.values = []
  buffer.timestamps = []
  for (const writer of writers) writer.send({ kind: 'records', values, timestamps })
}
