/**
 * Calls a function with every batch, as it comes. At-least-once: what was handed over before a crash and after the last completed
 * checkpoint is handed over again.
 */
import { sinkWithoutCommits } from '../../clients/sink-without-commits.ts'
import type { Sink, SinkBatch, WriterContext } from '../../engine/api/index.ts'

/** Which instance of the sink is calling. */
export type CallbackOrigin = Pick<WriterContext, 'job' | 'operator' | 'subtask' | 'generation' | 'signal'>

/**
 * A sink that is one function.
 * @param onBatch called with batches in order, the next one when the promise it returned has resolved; a checkpoint completes only after
 *   all batches before it. It must copy what it keeps: the arrays are reused. A throw or rejection ends the attempt.
 */
export function callbackSink<T>(
  onBatch: (batch: SinkBatch<T>, origin: CallbackOrigin) => void | Promise<void>,
): Sink<T, never> {
  return sinkWithoutCommits({ kind: 'callback', guarantee: 'at-least-once', write: onBatch })
}
