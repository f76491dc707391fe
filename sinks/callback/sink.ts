/**
 * Calls a function with every batch, as it comes. At-least-once: what was handed over before a crash and after the last completed
 * checkpoint is handed over again.
 */
import { jsonCodec, type Sink, type SinkBatch, type WriterContext } from '../../engine/api/index.ts'

/** Which instance of the sink is calling. */
export type CallbackOrigin = Pick<WriterContext, 'job' | 'operator' | 'subtask' | 'generation' | 'signal'>

/**
 * @param onBatch called with batches in order, the next one when the promise it returned has resolved; a checkpoint completes only after
 *   all batches before it. It must copy what it keeps: the arrays are reused. A throw or rejection ends the attempt.
 */
export function callbackSink<T>(
  onBatch: (batch: SinkBatch<T>, origin: CallbackOrigin) => void | Promise<void>,
): Sink<T, never> {
  return {
    kind: 'callback',
    guarantee: 'at-least-once',
    committableCodec: jsonCodec<never>(),
    validate: () => Promise.resolve(),
    scope: () => new Uint8Array(),
    createWriter: (context) =>
      Promise.resolve({
        overlapsPrepare: true,
        // The engine prepares only when all writes have resolved, so nothing is left to wait for.
        write: (batch) => onBatch(batch, context),
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
