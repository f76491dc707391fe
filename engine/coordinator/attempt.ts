/**
 * One generation at work: triggers checkpoints, collects acknowledgements, completes, hands to the commit phase, settles, retires.
 * Runs from a recovered job until the input ends, somebody stops it, or something fails. Everything is taken one event at a time from
 * one mailbox; an append is awaited before any other decision.
 *
 *   trigger ─▶ acknowledged ─▶ append `completed` ─▶ commit (beside epoch N+1) ─▶ next entry carries committedThrough ─▶ settle, forget
 *
 * - C1: only `#complete` appends `completed`, and only its result opens the commit phase.
 * - C8: one checkpoint in flight; no trigger while `maxUncommittedEpochs` are waiting for their commit.
 */
import { messageOf, TaskFailure, unreachable, type CommitPermit, type Runtime } from '../api/index.ts'
import type { Manifest, OperatorSnapshot } from '../checkpoint/manifest.ts'
import { decideTrigger, type CheckpointPolicy } from '../checkpoint/trigger.ts'
import type { FromTask, ToTask } from '../task/messages.ts'
import { Mailbox } from './mailbox.ts'

export type AttemptEvent =
  | FromTask
  | { readonly kind: 'committed'; readonly checkpoint: number }
  | { readonly kind: 'commit-failed'; readonly error: unknown }
  | { readonly kind: 'stop' }
  | { readonly kind: 'checkpoint-wanted' }

/** What the attempt does to the world around it. */
export interface AttemptPort {
  /** Appends `completed` and returns the permit to commit it. */
  complete(acknowledged: Acknowledged): Promise<Completion>
  /** Appends `committed` or `alive`, whichever is due; a fact of ours that the log does not yet hold rides in it. */
  note(committedThrough: number): Promise<void>
  /** Commits a completed checkpoint; resolves when everything of it is committed. */
  commit(completion: Completion): Promise<void>
  /** `through` is durable in the log: committers forget, blobs are retired. */
  settled(through: number): Promise<void>
  /** A checkpoint was declined or timed out: its blobs are debris. */
  abandoned(checkpoint: number): void
  /** committedThrough as the newest log entry holds it. */
  readonly durableCommittedThrough: number
  /** How long ago the last entry was appended, milliseconds. */
  silentMs(): number
  readonly newestCompleted: number | null
  nextCheckpoint(): number
}

export interface Acknowledged {
  readonly checkpoint: number
  readonly operators: readonly OperatorSnapshot[]
  readonly final: boolean
  /** A fact that rides in the `completed` entry. */
  readonly committedThrough: number
}

export interface Completion {
  readonly permit: CommitPermit
  readonly manifest: Manifest
  readonly oldestRetained: Manifest
}

export type AttemptEnd = 'finished' | 'stopped'

/** A holder silent for this long appends an entry, so that others do not take it for dead. */
const ALIVE_MS = 1_500
/** A committed fact waits this long for a `completed` entry to ride in. */
const RIDE_MS = 500

export class Attempt {
  readonly #port: AttemptPort
  readonly #policy: CheckpointPolicy
  readonly #runtime: Runtime
  readonly #mailbox = new Mailbox<AttemptEvent>()
  readonly #toTask: (message: ToTask) => void
  #inFlight: { readonly checkpoint: number; readonly triggeredAtMs: number; readonly final: boolean } | undefined
  readonly #toCommit: Completion[] = []
  #committing = false
  #committedThrough: number
  #committedAtMs = 0
  #settledThrough: number
  #lastTriggerMs: number
  #lastResolvedMs: number
  #failures = 0
  #wanted = true
  #stopping = false
  #inputEnded = false
  #lastCompletion: { readonly checkpoint: number; readonly final: boolean; readonly afterStop: boolean } | undefined

  constructor(options: {
    readonly port: AttemptPort
    readonly policy: CheckpointPolicy
    readonly runtime: Runtime
    readonly toTask: (message: ToTask) => void
  }) {
    this.#port = options.port
    this.#policy = options.policy
    this.#runtime = options.runtime
    this.#toTask = options.toTask
    this.#committedThrough = options.port.durableCommittedThrough
    this.#settledThrough = this.#committedThrough
    this.#lastTriggerMs = this.#lastResolvedMs = options.runtime.clock.monotonicMs()
  }

  /** Any source of events may call this at any time. */
  post(event: AttemptEvent): void {
    this.#mailbox.post(event)
  }

  /** @throws whatever ends the attempt: TaskFailure, TerminalError, FencedError, InDoubtError … */
  async run(): Promise<AttemptEnd> {
    for (;;) {
      this.#trigger()
      const event = await this.#mailbox.take(this.#runtime.timers, this.#waitMs())
      if (event !== undefined) await this.#handle(event)
      this.#expire()
      await this.#noteIfDue()
      const end = this.#end()
      if (end !== undefined) return end
    }
  }

  async #handle(event: AttemptEvent): Promise<void> {
    switch (event.kind) {
      case 'acknowledged':
        return this.#acknowledged(event.checkpoint, event.operators)
      case 'declined':
        if (event.checkpoint === this.#inFlight?.checkpoint) this.#unsuccessful(`declined: ${messageOf(event.error)}`)
        return
      case 'input-ended':
        this.#inputEnded = true
        this.#wanted = true
        return
      case 'failed':
        throw event.error
      case 'committed':
        this.#committing = false
        this.#committedThrough = event.checkpoint
        this.#committedAtMs = this.#runtime.clock.monotonicMs()
        this.#commitNext()
        return
      case 'commit-failed':
        throw event.error
      case 'stop':
        this.#stopping = true
        this.#wanted = true
        return
      case 'checkpoint-wanted':
        this.#wanted = true
        return
      default:
        unreachable(event)
    }
  }

  /** Nothing new may be triggered once the last checkpoint of a stop or of the end is under way. */
  #trigger(): void {
    const nowMs = this.#runtime.clock.monotonicMs()
    if (this.#lastCompletion?.final === true || this.#lastCompletion?.afterStop === true) return
    const decision = decideTrigger(this.#policy, {
      inFlight: this.#inFlight !== undefined,
      sinceTriggerMs: nowMs - this.#lastTriggerMs,
      sinceResolvedMs: nowMs - this.#lastResolvedMs,
      uncommitted: this.#toCommit.length + (this.#committing ? 1 : 0),
      wanted: this.#wanted,
    })
    if (decision.kind !== 'trigger') return
    const checkpoint = this.#port.nextCheckpoint()
    this.#inFlight = { checkpoint, triggeredAtMs: nowMs, final: this.#inputEnded }
    this.#triggeredAfterStop = this.#stopping
    this.#lastTriggerMs = nowMs
    this.#wanted = false
    this.#toTask({ kind: 'trigger', checkpoint, base: this.#port.newestCompleted, final: this.#inputEnded })
  }

  #triggeredAfterStop = false

  async #acknowledged(checkpoint: number, operators: readonly OperatorSnapshot[]): Promise<void> {
    const flight = this.#inFlight
    if (flight === undefined || flight.checkpoint !== checkpoint) return
    // The end of input may arrive between trigger and cut; final means that the cut itself holds the end of every operator.
    const final = operators.length > 0 && operators.every((operator) => operator.ended)
    this.#inFlight = undefined
    this.#lastResolvedMs = this.#runtime.clock.monotonicMs()
    const completion = await this.#port.complete({
      checkpoint,
      operators,
      final,
      committedThrough: this.#committedThrough,
    })
    this.#failures = 0
    this.#lastCompletion = { checkpoint, final, afterStop: this.#triggeredAfterStop }
    this.#toTask({ kind: 'completed', checkpoint })
    this.#toTask({ kind: 'retained', oldest: completion.oldestRetained })
    this.#toCommit.push(completion)
    this.#commitNext()
    await this.#settle()
  }

  #commitNext(): void {
    if (this.#committing) return
    const next = this.#toCommit.shift()
    if (next === undefined) return
    this.#committing = true
    this.#port.commit(next).then(
      () => this.post({ kind: 'committed', checkpoint: next.manifest.checkpoint }),
      (error: unknown) => this.post({ kind: 'commit-failed', error }),
    )
  }

  /** The log holds a higher committedThrough than the writers have heard of. */
  async #settle(): Promise<void> {
    const through = this.#port.durableCommittedThrough
    if (through <= this.#settledThrough) return
    this.#settledThrough = through
    this.#toTask({ kind: 'settled', through })
    await this.#port.settled(through)
  }

  async #noteIfDue(): Promise<void> {
    const unsaid = this.#committedThrough > this.#port.durableCommittedThrough
    const ending = this.#lastCompletion?.final === true || this.#lastCompletion?.afterStop === true
    const waitedMs = this.#runtime.clock.monotonicMs() - this.#committedAtMs
    const due = unsaid && (ending || (waitedMs >= RIDE_MS && this.#inFlight === undefined))
    if (!due && this.#port.silentMs() < ALIVE_MS) return
    await this.#port.note(this.#committedThrough)
    await this.#settle()
  }

  #expire(): void {
    const flight = this.#inFlight
    if (flight === undefined) return
    const ageMs = this.#runtime.clock.monotonicMs() - flight.triggeredAtMs
    if (ageMs >= this.#policy.timeoutMs) this.#unsuccessful(`not acknowledged within ${this.#policy.timeoutMs} ms`)
  }

  #unsuccessful(why: string): void {
    const flight = this.#inFlight
    if (flight === undefined) return
    this.#inFlight = undefined
    this.#lastResolvedMs = this.#runtime.clock.monotonicMs()
    this.#failures += 1
    this.#wanted ||= this.#stopping || flight.final
    this.#port.abandoned(flight.checkpoint)
    this.#runtime.logger.warn(`checkpoint ${flight.checkpoint} ${why}`, { consecutiveFailures: this.#failures })
    if (this.#failures > this.#policy.toleratedFailures) {
      throw new TaskFailure(
        `${this.#failures} checkpoints in a row did not complete (${this.#policy.toleratedFailures} are tolerated); the last one, ` +
          `${flight.checkpoint}, was ${why}`,
      )
    }
  }

  #end(): AttemptEnd | undefined {
    const last = this.#lastCompletion
    if (last === undefined || this.#settledThrough < last.checkpoint) return undefined
    if (last.final) return 'finished'
    return last.afterStop ? 'stopped' : undefined
  }

  #waitMs(): number {
    const nowMs = this.#runtime.clock.monotonicMs()
    const untilAlive = ALIVE_MS - this.#port.silentMs()
    const untilRide =
      this.#committedThrough > this.#port.durableCommittedThrough ? this.#committedAtMs + RIDE_MS - nowMs : ALIVE_MS
    const flight = this.#inFlight
    const untilNext =
      flight === undefined
        ? this.#policy.intervalMs - (nowMs - this.#lastTriggerMs)
        : flight.triggeredAtMs + this.#policy.timeoutMs - nowMs
    const pause = flight === undefined ? this.#policy.minPauseMs - (nowMs - this.#lastResolvedMs) : 0
    return Math.max(1, Math.min(untilAlive, untilRide > 0 ? untilRide : ALIVE_MS, Math.max(untilNext, pause)))
  }
}
