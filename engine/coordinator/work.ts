/**
 * The attempt of a recovered generation: has its tasks opened, connects them with the coordinator's decisions, and lets go of them in the
 * end.
 */
import { assert, messageOf, RetryableError, TaskFailure, type CheckpointStore, type Runtime } from '../api/index.ts'
import { taskGraphOf } from '../graph/task-graph.ts'
import type { AttemptSpec, HostPort, TaskGroup, TaskHost } from '../task/host.ts'
import type { ToTask } from '../task/messages.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { Blobs, getBlob } from './blobs.ts'
import { Collection } from './collection.ts'
import { abortionOf, whenAborted, within } from './deadline.ts'
import { Discovery } from './discovery.ts'
import type { GenerationOptions, GenerationScope } from './generation-scope.ts'
import { Port } from './port.ts'
import type { Recovered } from './recovery.ts'
import { shareSplits } from './splits.ts'

/** How long an old attempt may take to let go before the process must exit instead. */
const DISPOSE_DEADLINE_MS = 30_000
/** How long one that was canceled while it was being opened may take. */
const OPEN_GRACE_MS = 5_000

export async function work(
  options: GenerationOptions,
  scope: GenerationScope,
  { retained, leftovers, restored }: Recovered,
): Promise<AttemptEnd> {
  const { runtime, store, job, log, graph, requests, policy, figures } = options
  const { started, abort } = scope
  const { lineage, generation } = started
  const blobs = new Blobs(store, job, generation, runtime)
  const abortLeftovers = async (): Promise<void> => {
    const isClean = await leftovers.abortOlder(log.newest ?? started)
    if (!isClean) throw new RetryableError('a sink says that something may be left', { code: 'SLUICE_CLEANUP_FAILED' })
    options.entries.cleanBelow(generation)
  }
  const port = new Port({
    ...options,
    ...scope,
    blobs,
    retained,
    lineage,
    generation,
    onFirstCompletion: () => {
      scope.sinkChores.add('aborting leftovers of older generations', abortLeftovers)
      discovery.start()
    },
  })
  let tasks: TaskGroup | undefined
  const tell = (message: ToTask): void => tasks?.tell(message)
  const attempt = new Attempt({ port, policy, runtime, requests, tell, onDrain: () => discovery.stop() })
  const discovery = new Discovery({ ...options, tell, fail: (error) => attempt.post({ kind: 'failed', error }) })
  const collection = new Collection(graph, taskGraphOf(graph.nodes, options.parallelism))
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => undefined)
  try {
    tasks = await openInTime(abort.signal, options, {
      failed: failed.promise,
      spec: async () => {
        const spec = await specOf(options, scope, restored ?? null)
        discovery.dealt(spec.splits)
        return spec
      },
      port: {
        store: blobPort(blobs, store),
        send: (task, message) => {
          if (message.kind === 'failed') failed.reject(message.error)
          discovery.hear(task, message)
          const event = collection.take(task, message)
          if (event !== undefined) attempt.post(event)
        },
        figures: figures.tasks,
        signal: abort.signal,
      },
    })
    scope.cancelWith(() => attempt.post({ kind: 'cancel' }))
    options.entries.enter('running')
    options.onRunning(generation, restored?.checkpoint ?? null)
    options.pulse.listen((error) => attempt.post({ kind: 'failed', error }))
    using _asked = hearAsked(options, attempt)
    return await attempt.run()
  } catch (error) {
    abort.abort(new TaskFailure('the attempt is over'))
    throw error
  } finally {
    await discovery[Symbol.asyncDispose]()
    if (tasks !== undefined) await disposeInTime(tasks, runtime)
  }
}

function hearAsked({ stopSignal, drainSignal }: GenerationOptions, attempt: Attempt): Disposable {
  const stop = whenAborted(stopSignal, () => attempt.post({ kind: 'stop' }))
  const drain = whenAborted(drainSignal, () => attempt.post({ kind: 'drain' }))
  return {
    [Symbol.dispose]: () => {
      stop[Symbol.dispose]()
      drain[Symbol.dispose]()
    },
  }
}

function blobPort(blobs: Blobs, store: CheckpointStore): HostPort['store'] {
  return {
    putBlob: (operator, bytes) => blobs.put(operator, bytes),
    announceBlob: (operator) => blobs.announce(operator),
    getBlob: (reference) => getBlob(store, reference),
  }
}

async function specOf(
  options: GenerationOptions,
  { started, abort }: GenerationScope,
  restored: AttemptSpec['restored'],
): Promise<AttemptSpec> {
  const { job, lineage, generation } = started
  // What was given up is given up once: what we have completed since holds that operator anew.
  const isOurs = restored !== null && options.entries.isOurs(restored.checkpoint)
  const dropped = isOurs ? [] : options.dropped
  return {
    names: { job, lineage, generation },
    parallelism: options.parallelism,
    maxParallelism: options.maxParallelism,
    baseDirectory: options.baseDirectory,
    checkpoint: options.policy,
    restored,
    dropped,
    splits: await shareSplits({ ...options, dropped, restored, signal: abort.signal }),
  }
}

interface Opening {
  readonly spec: () => Promise<AttemptSpec>
  readonly port: HostPort
  /** Rejects when a task fails. */
  readonly failed: Promise<never>
}

/**
 * Canceled or fenced while they are being opened, or beside one that cannot be, tasks may never answer, and once halted they say nothing
 * more: they are let go, and waited for a while, so that nothing of them happens later. No other attempt begins beside them.
 */
async function openInTime(
  signal: AbortSignal,
  { host, runtime }: { readonly host: TaskHost; readonly runtime: Runtime },
  { spec, port, failed }: Opening,
): Promise<TaskGroup> {
  using aborted = abortionOf(signal)
  const opening = spec().then((made) => host.start(made, port))
  try {
    return await Promise.race([aborted, failed, opening])
  } catch (error) {
    const closed = opening.then((late) => late.dispose()).catch(() => undefined)
    const limitMs = signal.aborted ? OPEN_GRACE_MS : DISPOSE_DEADLINE_MS
    const inTime = await within(runtime.timers, limitMs, closed)
    assert(inTime !== undefined || signal.aborted, () =>
      hung(`a task that was being opened beside one that failed (${messageOf(error)})`),
    )
    throw error
  }
}

/** A hung old attempt would be a zombie inside this process. */
async function disposeInTime(tasks: TaskGroup, runtime: Runtime): Promise<void> {
  const disposed = tasks.dispose().catch((error: unknown) => {
    runtime.logger.warn('the old attempt did not close cleanly', { error: messageOf(error) })
  })
  const inTime = await within(runtime.timers, DISPOSE_DEADLINE_MS, disposed)
  assert(inTime !== undefined, () => hung('the old attempt'))
}

function hung(what: string): string {
  return `${what} did not let go within ${DISPOSE_DEADLINE_MS} ms; the process must exit`
}
