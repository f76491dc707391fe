/** A source of one split that is as long as it says each time it is asked; its position is the number of the next record. */
import type { Source } from '../../engine/index.ts'

const SPLIT = { id: 'memory' }

/** `take` gives the records from a number on: some, none now, or none ever. */
export function memorySource<T>(
  take: (from: number) => readonly T[] | 'idle' | 'ended',
): Source<T, typeof SPLIT, number> {
  return {
    kind: 'memory',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split: SPLIT, start: 0 }]),
    createReader: () => {
      let next = 0
      return Promise.resolve({
        assign: () => Promise.resolve(),
        poll: () => {
          const values = take(next)
          if (values === 'idle') return { kind: 'idle' as const, retryAfterMs: 1 }
          if (values === 'ended') return { kind: 'ended' as const }
          next += values.length
          return { kind: 'records' as const, split: SPLIT, records: { values }, after: next }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      })
    },
  }
}
