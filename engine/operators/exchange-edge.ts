/**
 * The edge of a chain at an exchange: routes each record to a subtask, and gathers what goes to each, until the task hands it to the
 * channels. Arrays that were handed on belong to their readers; new ones take their place.
 *
 * - C8: an edge that holds FLUSH_RECORDS for one subtask asks for a flush at the next record; what one single record may cause is limited.
 */
import { assert, TerminalError, unreachable } from '../api/index.ts'
import type { KeyByNode } from '../graph/job-graph.ts'
import type { Exchange } from '../graph/task-graph.ts'
import { keyString } from '../state/key-encoding.ts'
import { javaHash, keyGroupOfHash, subtaskOf } from '../state/key-group.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'
import { FLUSH_RECORDS, LIMIT_RECORDS } from './sink-edge.ts'

/** Records that go the same way. */
export interface OutputBuffer {
  values: unknown[]
  timestamps: number[]
}

export interface ExchangeEdge {
  readonly exchange: Exchange
  /** One for each subtask that reads; of a broadcast one for all. */
  readonly buffers: readonly OutputBuffer[]
  readonly push: Push
}

export interface ExchangeEdgeOptions {
  readonly exchange: Exchange
  /** Of the task that writes. */
  readonly from: { readonly subtask: number; readonly parallelism: number }
  /** Channels from this task; of a forward exchange between equals one, to the same subtask. */
  readonly targets: number
  /** By key: its selector, and how many key groups there are. */
  readonly keyBy: KeyByNode | undefined
  readonly maxParallelism: number
  readonly guard: ChainGuard
}

export function createExchangeEdge(options: ExchangeEdgeOptions): ExchangeEdge {
  const { exchange, targets } = options
  const count = exchange.partition.kind === 'broadcast' ? 1 : targets
  const buffers = Array.from({ length: count }, (): OutputBuffer => ({ values: [], timestamps: [] }))
  return { exchange, buffers, push: pushOf(options, buffers) }
}

function pushOf(options: ExchangeEdgeOptions, buffers: readonly OutputBuffer[]): Push {
  const { exchange, guard } = options
  const append = appendTo(exchange, guard)
  switch (exchange.partition.kind) {
    case 'forward':
    case 'broadcast': {
      // Between unequals each subtask keeps to one reader: no record overtakes another. Who wants them dealt out says rebalance.
      const { subtask, parallelism } = options.from
      const buffer = buffers.length === 1 ? buffers[0] : buffers[Math.floor((subtask * buffers.length) / parallelism)]
      assert(buffer !== undefined, () => `operator "${exchange.to}" has no subtask`)
      return (value, timestamp) => append(buffer, value, timestamp)
    }
    case 'rebalance':
      return rebalance(buffers, append)
    case 'key':
      return byKey(options, buffers, append)
    default:
      return unreachable(exchange.partition)
  }
}

type Append = (buffer: OutputBuffer, value: unknown, timestamp: number) => void

function appendTo({ from, to }: Exchange, guard: ChainGuard): Append {
  return (buffer, value, timestamp) => {
    const { values, timestamps } = buffer
    timestamps.push(timestamp)
    const count = values.push(value)
    if (count < FLUSH_RECORDS) return
    guard.isFull = true
    if (count <= LIMIT_RECORDS) return
    const what = `a single record caused more than ${LIMIT_RECORDS} records for "${to}"; emit less at a time`
    throw guard.failed(from, new TerminalError(what, { code: 'SLUICE_TOO_MANY_RECORDS' }))
  }
}

function rebalance(buffers: readonly OutputBuffer[], append: Append): Push {
  let turn = 0
  return (value, timestamp) => {
    const buffer = buffers[turn]
    turn = turn + 1 < buffers.length ? turn + 1 : 0
    if (buffer !== undefined) append(buffer, value, timestamp)
  }
}

function byKey(options: ExchangeEdgeOptions, buffers: readonly OutputBuffer[], append: Append): Push {
  const { exchange, keyBy, maxParallelism, guard } = options
  assert(keyBy !== undefined, () => `exchange to "${exchange.to}" has no key`)
  const { id, key: selectKey } = keyBy
  const byGroup = Array.from(
    { length: maxParallelism },
    (_, keyGroup) => buffers[subtaskOf(keyGroup, buffers.length, maxParallelism)],
  )
  return (value, timestamp) => {
    let buffer: OutputBuffer | undefined
    try {
      const key = selectKey(value)
      const text = typeof key === 'string' && key.charCodeAt(0) !== 1 ? key : keyString(key)
      buffer = byGroup[keyGroupOfHash(javaHash(text), maxParallelism)]
    } catch (error) {
      throw guard.failed(id, error)
    }
    if (buffer !== undefined) append(buffer, value, timestamp)
  }
}
