/**
 * What can be asked of a running job, by signal or by others, and what became of it: the process's side of the control plane. Asked over
 * its socket or through the store it is the same, and whoever asks hears the outcome, not that it was heard.
 *
 * - Nothing but the verbs of protocol.ts is obeyed. Who asked and went away changes nothing.
 * - C8: so many may wait for a checkpoint at a time; the others are told to come again.
 */
import { assert, messageOf, unreachable, type CheckpointStore, type Runtime } from '../../engine/api/index.ts'
import type { HolderControl, HolderIdentity, LogHead } from '../../engine/checkpoint/log-entry.ts'
import { CheckpointRequests } from '../../engine/coordinator/checkpoint-requests.ts'
import type { RunEvent } from '../../engine/coordinator/run-job.ts'
import type { ControlWay } from './control-way.ts'
import { withCode } from '../refusal.ts'
import { ControlListener } from './listener.ts'
import { MailboxReader } from './mailbox-reader.ts'
import type { ControlOutcome, JobEnd, Verb } from './protocol.ts'

export interface ControlOptions {
  readonly job: string
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly holder: HolderIdentity
  /** `store`: no socket. */
  readonly way: ControlWay
  /** For people: somebody has asked for it. */
  readonly onAsked: (verb: Verb) => void
}

const MOST_WAITING = 100
/** Who asks for a checkpoint that has just completed may want to know how long it took. */
const DURATIONS_KEPT = 50

export class Control implements AsyncDisposable {
  #requests = new CheckpointRequests()
  readonly #stop = new AbortController()
  #asked = new Wishes()
  readonly #durations = new Map<number, number>()
  readonly #ended = Promise.withResolvers<ControlOutcome>()
  #log: { readonly newest: LogHead | undefined } | undefined
  #options: ControlOptions | undefined
  #listener: ControlListener | undefined
  #mailbox: MailboxReader | undefined
  #waiting = 0

  /** By a signal to the process, whatever it does just now. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal
  }

  /** From here on others can ask. Without a socket they do so through the store, and a warning says why. */
  async open(options: ControlOptions): Promise<HolderControl> {
    assert(this.#options === undefined, () => 'one process is asked about one job')
    this.#options = options
    const { job, store, runtime, holder, way } = options
    const ask = (verb: Verb): Promise<ControlOutcome> => this.#ask(verb)
    this.#mailbox = new MailboxReader({ job, store, runtime, holder, ask })
    if (way === 'store') return {}
    const newest = (): LogHead | undefined => this.#newestOf(holder)
    try {
      this.#listener = await ControlListener.open({ job, newest, ask })
      return { socket: this.#listener.path }
    } catch (error) {
      runtime.logger.warn(withCode(messageOf(error), error))
      return {}
    }
  }

  /**
   * For the next run of this process; one that stands by may begin several times before it leads. What others ask for is about the run that
   * they have asked: it must not wait in here and end a later one.
   */
  begin(): Wished {
    this.#requests = new CheckpointRequests()
    this.#asked = new Wishes()
    const { stop, drain, cancel } = this.#asked
    return {
      stopSignal: AbortSignal.any([this.#stop.signal, stop.signal]),
      drainSignal: drain.signal,
      cancelSignal: cancel.signal,
      requests: this.#requests,
    }
  }

  /** As a signal to the process asks. */
  stop(reason: Error): void {
    this.#stop.abort(reason)
  }

  onLog(log: { readonly newest: LogHead | undefined }): void {
    this.#log = log
  }

  onEvent(event: RunEvent): void {
    if (event.kind === 'running') this.#mailbox?.sweep(event.generation)
    if (event.kind !== 'completed') return
    this.#durations.set(event.checkpoint, event.durationMs)
    const [oldest] = this.#durations.keys()
    if (oldest !== undefined && this.#durations.size > DURATIONS_KEPT) this.#durations.delete(oldest)
  }

  /** What `run` came to is durable: everybody who waits hears it. */
  async through<T>(run: Promise<T>): Promise<T> {
    try {
      const end = await run
      this.#ended.resolve(outcomeIn(this.#log?.newest))
      this.#sweepAtEnd()
      return end
    } catch (error) {
      this.#ended.resolve({ kind: 'broken-off', reason: messageOf(error) })
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.resolve({ kind: 'broken-off', reason: 'the process ends' })
    await Promise.all([this.#listener?.[Symbol.asyncDispose](), this.#mailbox?.[Symbol.asyncDispose]()])
  }

  /** Only what this process has written says that it runs the job. */
  #newestOf({ socket }: HolderIdentity): LogHead | undefined {
    const newest = this.#log?.newest
    return newest?.holder.socket === socket ? newest : undefined
  }

  /** A run that only delivers what is due never says that it is running, and behind the end of the input there is no next one. */
  #sweepAtEnd(): void {
    const newest = this.#options === undefined ? undefined : this.#newestOf(this.#options.holder)
    if (newest?.end !== undefined) this.#mailbox?.sweep(newest.generation)
  }

  async #ask(verb: Verb): Promise<ControlOutcome> {
    this.#options?.onAsked(verb)
    switch (verb) {
      case 'stop':
        this.#asked.stop.abort(reasonOf(verb))
        return this.#ended.promise
      case 'drain':
        this.#asked.drain.abort(reasonOf(verb))
        return this.#ended.promise
      case 'cancel':
        this.#asked.cancel.abort(reasonOf(verb))
        return this.#ended.promise
      case 'checkpoint':
        return this.#checkpoint()
      default:
        return unreachable(verb)
    }
  }

  async #checkpoint(): Promise<ControlOutcome> {
    if (this.#waiting >= MOST_WAITING) {
      return { kind: 'refused', reason: `${MOST_WAITING} others wait for a checkpoint already; ask again later` }
    }
    this.#waiting += 1
    try {
      const outcome = await this.#requests.request('committed')
      if (outcome.kind === 'not-completed') return outcome
      const { checkpoint } = outcome
      return { kind: 'completed', checkpoint, durationMs: this.#durations.get(checkpoint) ?? null }
    } finally {
      this.#waiting -= 1
    }
  }
}

/** Of one run: what others have asked for. */
class Wishes {
  readonly stop = new AbortController()
  readonly drain = new AbortController()
  readonly cancel = new AbortController()
}

interface Wished {
  readonly stopSignal: AbortSignal
  readonly drainSignal: AbortSignal
  readonly cancelSignal: AbortSignal
  readonly requests: CheckpointRequests
}

function reasonOf(verb: Verb): Error {
  return new Error(`stopped by ${verb}`)
}

/** Of a job whose run has ended; its newest entry says so. */
export function endOf(entry: LogHead): JobEnd | undefined {
  const { end, retained, committedThrough } = entry
  if (end === undefined) return undefined
  return { checkpoint: retained.at(-1)?.checkpoint ?? null, committedThrough, ...end }
}

function outcomeIn(newest: LogHead | undefined): ControlOutcome {
  const end = newest === undefined ? undefined : endOf(newest)
  return end === undefined
    ? { kind: 'broken-off', reason: 'the log does not say that it ended' }
    : { kind: 'ended', ...end }
}
