/**
 * Takes everything, writes nothing: for measuring what comes before a sink. Exactly-once, as there is no output that could be wrong.
 */
import { jsonCodec, type Sink } from '../../engine/api/index.ts'

export function discardSink<T = unknown>(): Sink<T, never> {
  return {
    kind: 'discard',
    guarantee: 'exactly-once',
    committableCodec: jsonCodec<never>(),
    validate: () => Promise.resolve(),
    scope: () => new Uint8Array(),
    createWriter: () =>
      Promise.resolve({
        overlapsPrepare: true,
        write: () => undefined,
        prepareCommit: () => Promise.resolve([]),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
    createCommitter: () =>
      Promise.resolve({
        commit: () => Promise.resolve([]),
        abortStale: () => Promise.resolve({ aborted: 0, clean: true }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  }
}
