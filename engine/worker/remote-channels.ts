/**
 * All channels of one attempt between the tasks of this worker and those of others: makes their ends when the tasks are wired, and brings
 * each frame to its channel.
 */
import type { TaskGraph } from '../graph/task-graph.ts'
import type { ChannelQueue, ChannelWriter } from '../task/channel.ts'
import type { TaskId } from '../task/host.ts'
import type { ChannelAddress, Elsewhere } from '../task/local-host.ts'
import { ChannelNumbers, workerOf } from './channel-numbers.ts'
import { ProtocolError, type Frame } from './frame.ts'
import { RemoteChannelReader, RemoteChannelWriter, type FrameSender } from './remote-channel.ts'

export interface RemoteChannelsOptions {
  readonly graph: TaskGraph
  readonly self: number
  readonly workers: number
  senderTo(peer: number): FrameSender
}

/** One end, and the worker that the other one is in. */
interface End<T> {
  readonly peer: number
  readonly end: T
}

/**
 * Credit comes back when both processes have turned their loops, which may take each of them a slice of some milliseconds: with the
 * capacity of a channel within a process the writer would wait for that most of the time.
 */
const WINDOWS = 4

export class RemoteChannels implements Elsewhere {
  readonly #options: RemoteChannelsOptions
  readonly #numbers: ChannelNumbers
  readonly #writers = new Map<number, End<RemoteChannelWriter>>()
  readonly #readers = new Map<number, End<RemoteChannelReader>>()

  constructor(options: RemoteChannelsOptions) {
    this.#options = options
    this.#numbers = new ChannelNumbers(options.graph)
  }

  isHere({ subtask }: TaskId): boolean {
    return workerOf(subtask, this.#options.workers) === this.#options.self
  }

  writerTo(address: ChannelAddress, capacity: number): ChannelWriter {
    const peer = workerOf(address.to, this.#options.workers)
    const channel = this.#numbers.of(address)
    const operator = this.#numbers.operatorOf(address.exchange)
    const end = new RemoteChannelWriter({
      connection: this.#options.senderTo(peer),
      channel,
      capacity: capacity * WINDOWS,
      operator,
    })
    this.#writers.set(channel, { peer, end })
    return end
  }

  queueFrom(address: ChannelAddress, capacity: number): ChannelQueue {
    const peer = workerOf(address.from, this.#options.workers)
    const channel = this.#numbers.of(address)
    const end = new RemoteChannelReader({
      connection: this.#options.senderTo(peer),
      channel,
      capacity: capacity * WINDOWS,
    })
    this.#readers.set(channel, { peer, end })
    return end.queue
  }

  /** @throws ProtocolError for a channel that `peer` has no end of */
  received(peer: number, frame: Frame): void {
    if (frame.kind === 'credit') endOf(this.#writers, peer, frame).granted(frame.payload)
    else endOf(this.#readers, peer, frame).received(frame)
  }
}

function endOf<T>(ends: ReadonlyMap<number, End<T>>, peer: number, { kind, channel }: Frame): T {
  const found = ends.get(channel)
  if (found?.peer === peer) return found.end
  throw new ProtocolError(`worker ${peer} sent a ${kind} frame for channel ${channel}, which it has no part in`)
}
