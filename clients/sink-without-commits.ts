/**
 * A sink that prepares nothing: what it is given is where it goes at once, or nowhere, and no checkpoint has anything to commit.
 */
import { jsonCodec, type Guarantee, type Sink, type SinkBatch, type WriterContext } from '../engine/api/index.ts'

export interface DirectWrite<T> {
  readonly kind: string
  readonly guarantee: Guarantee
  /** The engine prepares only when all writes have resolved, so nothing is left to wait for. */
  write(batch: SinkBatch<T>, context: WriterContext): void | Promise<void>
}

export function sinkWithoutCommits<T>(options: DirectWrite<T>): Sink<T, never> {
  return {
    kind: options.kind,
    guarantee: options.guarantee,
    committableCodec: jsonCodec<never>(),
    validate: () => Promise.resolve(),
    scope: () => new Uint8Array(),
    createWriter: (context) =>
      Promise.resolve({
        overlapsPrepare: true,
        write: (batch) => options.write(batch, context),
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
