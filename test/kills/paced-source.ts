/** Numbers 0, 1, 2, … at a pace; a record depends only on its index. */
import type { Polled, Source } from 'sluice'

interface Split {
  readonly id: string
}

export type PacedSource = Source<number, Split, number>

export interface Pace {
  readonly count: number
  readonly batch: number
  readonly paceMs: number
  /** Instead of ending the source goes idle, for ever. */
  readonly isEndless: boolean
}

export function pacedSource({ count, batch, paceMs, isEndless }: Pace): PacedSource {
  const split = { id: 'numbers' }
  return {
    kind: 'paced',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split, start: 0 }]),
    createReader: () => {
      let next = 0
      return Promise.resolve({
        assign: (splits) => {
          next = splits[0]?.position ?? count
          return Promise.resolve()
        },
        poll: async (): Promise<Polled<number, Split, number>> => {
          if (next >= count) return isEndless ? { kind: 'idle', retryAfterMs: 5 } : { kind: 'ended' }
          await new Promise((resolve) => {
            setTimeout(resolve, paceMs)
          })
          const values = Array.from({ length: Math.min(batch, count - next) }, (_, index) => next + index)
          next += values.length
          return { kind: 'records', split, records: { values }, after: next }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      })
    },
  }
}

/** So many batches at most between two checkpoints: a busy machine does not run through with two of them. */
export function inLockstep<Out, S extends Split, Position>(
  source: Source<Out, S, Position>,
  batches: number,
): Source<Out, S, Position> {
  return {
    ...source,
    createReader: async (context) => {
      const reader = await source.createReader(context)
      let left = batches
      return {
        assign: (splits) => reader.assign(splits),
        ...(reader.addSplits === undefined
          ? {}
          : { addSplits: (splits) => reader.addSplits?.(splits) ?? Promise.resolve() }),
        poll: (signal) => {
          if (left <= 0) return { kind: 'idle', retryAfterMs: 1 }
          left -= 1
          return reader.poll(signal)
        },
        acknowledge: () => {
          left = batches
          return Promise.resolve()
        },
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      }
    },
  }
}
