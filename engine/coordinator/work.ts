/**
 * The attempt of a recovered generation: opens the task, connects it with the coordinator's decisions, and lets go of it in the end.
 */
import { assert, messageOf, RetryableError, TaskFailure, type Runtime } from '../api/index.ts'
import { startTask, type Task, type TaskOptions } from '../task/task.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { Blobs, getBlob } from './blobs.ts'
import { abortionOf, whenAborted, within } from './deadline.ts'
import type { GenerationOptions, GenerationScope } from './generation-scope.ts'
import { Port } from './port.ts'
import type { Recovered } from './recovery.ts'

/** How long an old attempt may take to let go before the process must exit instead. */
const DISPOSE_DEADLINE_MS = 30_000
/** How long one that was canceled while it was being opened may take. */
const OPEN_GRACE_MS = 5_000

export async function work(
  options: GenerationOptions,
  scope: GenerationScope,
  { retained, leftovers, restored }: Recovered,
): Promise<AttemptEnd> {
  const { runtime, store, job, log, graph, requests, policy } = options
  const { started, abort } = scope
  const { lineage, generation } = started
  const blobs = new Blobs(store, job, generation, runtime)
  const abortLeftovers = async (): Promise<void> => {
    const isClean = await leftovers.abortOlder(log.newest ?? started)
    if (!isClean) throw new RetryableError('a sink says that something may be left')
    options.entries.cleanBelow(generation)
  }
  const port = new Port({
    ...options,
    ...scope,
    blobs,
    retained,
    lineage,
    generation,
    onFirstCompletion: () => scope.sinkChores.add('aborting leftovers of older generations', abortLeftovers),
  })
  let task: Task | undefined
  const attempt = new Attempt({ port, policy, runtime, requests, toTask: (message) => task?.handle(message) })
  try {
    task = await openInTime(abort.signal, runtime, {
      graph,
      runtime,
      names: { job: started.job, lineage, generation },
      baseDirectory: options.baseDirectory,
      restored: restored ?? null,
      maxParallelism: options.maxParallelism,
      checkpoint: policy,
      store: {
        putBlob: (operator, bytes) => blobs.put(operator, bytes),
        getBlob: (reference) => getBlob(store, reference),
      },
      send: (message) => attempt.post(message),
      dropped: options.dropped,
      signal: abort.signal,
    })
    scope.cancelWith(() => attempt.post({ kind: 'cancel' }))
    options.entries.enter('running')
    options.onRunning(generation, restored?.checkpoint ?? null)
    options.pulse.listen((error) => attempt.post({ kind: 'failed', error }))
    using _stop = whenAborted(options.stopSignal, () => attempt.post({ kind: 'stop' }))
    return await attempt.run()
  } catch (error) {
    abort.abort(new TaskFailure('the attempt is over'))
    throw error
  } finally {
    if (task !== undefined) await disposeInTime(task, runtime)
  }
}

/**
 * Canceled or fenced while it is being opened, a task may never answer, and once halted it says nothing more: it is let go, and waited for
 * a while, so that nothing of it happens later.
 */
async function openInTime(signal: AbortSignal, runtime: Runtime, options: TaskOptions): Promise<Task> {
  using aborted = abortionOf(signal)
  const opening = startTask(options)
  try {
    return await Promise.race([aborted, opening])
  } catch (error) {
    const closed = opening.then((late) => late.dispose()).catch(() => undefined)
    await within(runtime.timers, OPEN_GRACE_MS, closed)
    throw error
  }
}

/** A hung old attempt would be a zombie inside this process. */
async function disposeInTime(task: Task, runtime: Runtime): Promise<void> {
  const disposed = task.dispose().catch((error: unknown) => {
    runtime.logger.warn('the old attempt did not close cleanly', { error: messageOf(error) })
  })
  const inTime = await within(runtime.timers, DISPOSE_DEADLINE_MS, disposed)
  assert(
    inTime !== undefined,
    () => `the old attempt did not let go within ${DISPOSE_DEADLINE_MS} ms; the process must exit`,
  )
}
