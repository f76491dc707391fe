/**
 * One generation at work: triggers checkpoints, collects acknowledgements, completes, hands to the commit phase, settles. Runs from a
 * recovered job until the input ends, somebody stops or cancels it, or something fails. Everything is taken one event at a time from one
 * mailbox; an append is awaited before any other decision. What it decides is decided by engine/checkpoint.
 *
 *   trigger ─▶ acknowledged ─▶ append `completed` ─▶ commit (beside epoch N+1) ─▶ next entry carries committedThrough ─▶ settle
 *
 * - C1: only `#acknowledged` completes, and only a completion opens the commit phase.
 * - C4: a drain ends all sources between the same two checkpoints. One that held the end of some only would take it from a restart, which
 *   is no drain any more, and what those sources had left would never be read.
 * - C8: one checkpoint in flight; no trigger while `maxUncommittedEpochs` are waiting for their commit.
 */
import { messageOf, TaskFailure, unreachable, type CommitPermit, type Runtime } from '../api/index.ts'
import type { Manifest, OperatorSnapshot } from '../checkpoint/manifest.ts'
import { noteWaitMs, type NoteFacts } from '../checkpoint/note.ts'
import {
  decideFlight,
  decideTrigger,
  triggerWaitMs,
  type CheckpointPolicy,
  type TriggerFacts,
} from '../checkpoint/trigger.ts'
import type { ToTask } from '../task/messages.ts'
import type { CheckpointRequests } from './checkpoint-requests.ts'
import type { FromTasks } from './collection.ts'
import { Mailbox } from './mailbox.ts'

export type AttemptEvent =
  | FromTasks
  | { readonly kind: 'committed'; readonly checkpoint: number }
  | { readonly kind: 'commit-failed'; readonly error: unknown }
  /** One last checkpoint, all of it committed. */
  | { readonly kind: 'stop' }
  /** All sources end where they are, what follows from their end is put out, and the checkpoint behind it is the last one. */
  | { readonly kind: 'drain' }
  /** No further checkpoint; what is completed may still be committed. */
  | { readonly kind: 'cancel' }
  | { readonly kind: 'checkpoint-wanted' }

/** What the attempt does to the world around it. Nothing of it waits for a sink. */
export interface AttemptPort {
  /** Appends `completed` and returns the permit to commit it. */
  complete(acknowledged: Acknowledged): Promise<Completion>
  /** Appends `committed`. */
  note(committedThrough: number): Promise<void>
  /** Commits a completed checkpoint; resolves when everything of it is committed. */
  commit(completed: Completed): Promise<void>
  /** The checkpoint in flight will not complete: its blobs are debris. */
  abandoned(): void
  /** committedThrough as the newest log entry holds it. */
  readonly durableCommittedThrough: number
  readonly newestCompleted: number | null
  nextCheckpoint(): number
}

export interface Acknowledged {
  readonly checkpoint: number
  readonly operators: readonly OperatorSnapshot[]
  readonly final: boolean
  /** A fact that rides in the `completed` entry. */
  readonly committedThrough: number
  /** The longest that a task had some input blocked for it. */
  readonly alignedMs: number
  /** Monotonic. */
  readonly triggeredAtMs: number
}

/** Of a completed checkpoint. */
export interface CheckpointTimes {
  /** From its trigger until its entry was durable. */
  readonly durationMs: number
  /** The longest that a task had some input blocked for it: it grows where the branches of a job are unequally fast. */
  readonly alignedMs: number
}

export type Completion =
  | ({ readonly kind: 'completed' } & Completed)
  /** Nothing was appended; the checkpoint counts as declined (F16). */
  | { readonly kind: 'not-stored'; readonly error: unknown }

export interface Completed {
  readonly permit: CommitPermit
  readonly manifest: Manifest
  readonly oldestRetained: Manifest
}

export type AttemptEnd = 'finished' | 'stopped' | 'canceled'

export interface AttemptOptions {
  readonly port: AttemptPort
  readonly policy: CheckpointPolicy
  readonly runtime: Runtime
  readonly requests: CheckpointRequests
  /** To all tasks. */
  readonly tell: (message: ToTask) => void
  /** Before they are told to: from here on no new splits may be given to them. */
  readonly onDrain: () => void
}

interface Flight {
  readonly checkpoint: number
  readonly triggeredAtMs: number
  readonly final: boolean
  readonly afterStop: boolean
}

/** So long a cancel waits for commits under way; what is not committed then stays due. */
const CANCEL_COMMITS_MS = 5_000

export class Attempt {
  readonly #options: AttemptOptions
  readonly #mailbox = new Mailbox<AttemptEvent>()
  #flight: Flight | undefined
  readonly #toCommit: Completed[] = []
  #committing = false
  #committedThrough: number
  #committedAtMs = 0
  #settledThrough: number
  #lastTriggerMs: number
  #lastResolvedMs: number
  /** Checkpoints in a row that did not complete. */
  #failures = 0
  #wanted = true
  #stopping = false
  #drain: 'no' | 'asked' | 'told' = 'no'
  #canceledAtMs: number | undefined
  #inputEnded = false
  /** Exhausted, and not told yet to end. */
  #exhausted: string[] = []
  /** Set once no further checkpoint may be triggered. */
  #last: { readonly checkpoint: number; readonly end: 'finished' | 'stopped' } | undefined

  constructor(options: AttemptOptions) {
    this.#options = options
    this.#committedThrough = options.port.durableCommittedThrough
    this.#settledThrough = this.#committedThrough
    this.#lastTriggerMs = this.#lastResolvedMs = this.#nowMs()
  }

  /** Any source of events may call this at any time. */
  post(event: AttemptEvent): void {
    this.#mailbox.post(event)
  }

  /** @throws whatever ends the attempt: TaskFailure, TerminalError, FencedError, InDoubtError … */
  async run(): Promise<AttemptEnd> {
    this.#options.requests.listen(() => this.post({ kind: 'checkpoint-wanted' }))
    for (;;) {
      this.#endSources()
      this.#drainSources()
      this.#trigger()
      const event = await this.#mailbox.take(this.#options.runtime.timers, this.#waitMs())
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
        return this.#acknowledged(event)
      case 'declined':
        if (event.checkpoint === this.#flight?.checkpoint) this.#unsuccessful(`declined: ${messageOf(event.error)}`)
        return
      case 'source-exhausted':
        this.#exhausted.push(event.source)
        return
      case 'input-ended':
        this.#inputEnded = true
        this.#wanted = true
        return
      case 'committed':
        this.#committing = false
        this.#committedThrough = event.checkpoint
        this.#committedAtMs = this.#nowMs()
        this.#options.requests.committed(event.checkpoint)
        return this.#commitNext()
      case 'failed':
      case 'commit-failed':
        throw event.error
      case 'stop':
        this.#stopping = true
        this.#wanted = true
        return
      case 'drain':
        if (this.#drain === 'no') this.#drain = 'asked'
        return
      case 'cancel':
        return this.#cancel()
      case 'checkpoint-wanted':
        this.#wanted = true
        return
      default:
        unreachable(event)
    }
  }

  /** Not while a checkpoint is in flight: some subtasks would have cut it before their end, others behind it (F24). */
  #endSources(): void {
    if (this.#flight !== undefined) return
    const exhausted = this.#exhausted
    this.#exhausted = []
    for (const source of exhausted) this.#options.tell({ kind: 'end', source })
  }

  /** Between two checkpoints, as ends are: the next one is behind the end of all sources. A stop that was there before it ends no input. */
  #drainSources(): void {
    if (this.#drain !== 'asked' || this.#flight !== undefined || this.#stopping || this.#isLast()) return
    this.#drain = 'told'
    this.#wanted = true
    this.#options.onDrain()
    this.#options.tell({ kind: 'drain' })
  }

  /** Nothing new may be triggered once the last checkpoint of a stop or of the end is complete. */
  #trigger(): void {
    if (this.#isLast()) return
    const { policy, port, requests, tell } = this.#options
    if (decideTrigger(policy, this.#triggerFacts()).kind !== 'trigger') return
    const nowMs = this.#nowMs()
    const checkpoint = port.nextCheckpoint()
    const final = this.#inputEnded || this.#drain === 'told'
    this.#flight = { checkpoint, triggeredAtMs: nowMs, final, afterStop: this.#stopping }
    this.#lastTriggerMs = nowMs
    this.#wanted = false
    requests.triggered(checkpoint)
    tell({ kind: 'trigger', checkpoint, base: port.newestCompleted, final })
  }

  async #acknowledged({
    checkpoint,
    operators,
    alignedMs,
  }: Extract<FromTasks, { kind: 'acknowledged' }>): Promise<void> {
    const flight = this.#flight
    // Late, of one that was given up: what it holds rides in the next one (F12).
    if (flight?.checkpoint !== checkpoint) return
    const { port, requests, tell } = this.#options
    // The end of input may arrive between trigger and cut; final means that the cut itself holds the end of every operator.
    const final = operators.length > 0 && operators.every((operator) => operator.ended)
    const committedThrough = this.#committedThrough
    const { triggeredAtMs } = flight
    const completion = await port.complete({ checkpoint, operators, final, committedThrough, alignedMs, triggeredAtMs })
    if (completion.kind === 'not-stored') {
      return this.#unsuccessful(`not stored: ${messageOf(completion.error)}`)
    }
    this.#flight = undefined
    this.#lastResolvedMs = this.#nowMs()
    this.#failures = 0
    if (final) this.#last = { checkpoint, end: 'finished' }
    else if (flight.afterStop) this.#last = { checkpoint, end: 'stopped' }
    requests.completed(checkpoint)
    tell({ kind: 'completed', checkpoint })
    tell({ kind: 'retained', splits: splitsOf(completion.oldestRetained) })
    this.#toCommit.push(completion)
    this.#commitNext()
    this.#settle()
  }

  #commitNext(): void {
    if (this.#committing) return
    const next = this.#toCommit.shift()
    if (next === undefined) return
    this.#committing = true
    this.#options.port.commit(next).then(
      () => this.post({ kind: 'committed', checkpoint: next.manifest.checkpoint }),
      (error: unknown) => this.post({ kind: 'commit-failed', error }),
    )
  }

  /** The log holds a higher committedThrough than the writers have heard of. */
  #settle(): void {
    const through = this.#options.port.durableCommittedThrough
    if (through <= this.#settledThrough) return
    this.#settledThrough = through
    this.#options.tell({ kind: 'settled', through })
  }

  async #noteIfDue(): Promise<void> {
    if (noteWaitMs(this.#noteFacts()) > 0) return
    await this.#options.port.note(this.#committedThrough)
    this.#settle()
  }

  #expire(): void {
    if (this.#flight === undefined) return
    const { policy } = this.#options
    const facts = { ageMs: this.#nowMs() - this.#flight.triggeredAtMs, failuresInARow: this.#failures }
    if (decideFlight(policy, { ...facts, isDeclined: false }).kind === 'wait') return
    this.#unsuccessful(`not acknowledged within ${policy.timeoutMs} ms`)
  }

  #unsuccessful(why: string): void {
    const flight = this.#flight
    if (flight === undefined) return
    const { policy, runtime, requests, port, tell } = this.#options
    const decision = decideFlight(policy, { ageMs: 0, failuresInARow: this.#failures, isDeclined: true })
    this.#flight = undefined
    this.#lastResolvedMs = this.#nowMs()
    this.#failures += 1
    this.#wanted ||= this.#stopping || flight.final
    port.abandoned()
    tell({ kind: 'given-up', checkpoint: flight.checkpoint })
    requests.notCompleted(flight.checkpoint, `checkpoint ${flight.checkpoint} was ${why}`)
    runtime.logger.warn(`checkpoint ${flight.checkpoint} ${why}; its commits ride in the next one`, {
      consecutiveFailures: this.#failures,
    })
    if (decision.kind !== 'fail') return
    throw new TaskFailure(
      `${this.#failures} checkpoints in a row did not complete (${policy.toleratedFailures} are tolerated); the last one, ` +
        `${flight.checkpoint}, was ${why}`,
      { code: 'SLUICE_CHECKPOINTS_FAIL' },
    )
  }

  #cancel(): void {
    this.#canceledAtMs ??= this.#nowMs()
    const flight = this.#flight
    this.#flight = undefined
    if (flight !== undefined) this.#options.requests.notCompleted(flight.checkpoint, 'the job is canceled')
  }

  #end(): AttemptEnd | undefined {
    if (this.#last !== undefined && this.#settledThrough >= this.#last.checkpoint) return this.#last.end
    if (this.#canceledAtMs === undefined) return undefined
    const isPatient = this.#nowMs() - this.#canceledAtMs < CANCEL_COMMITS_MS
    return this.#uncommitted() > 0 && isPatient ? undefined : 'canceled'
  }

  #isLast(): boolean {
    return this.#last !== undefined || this.#canceledAtMs !== undefined
  }

  #waitMs(): number {
    const nowMs = this.#nowMs()
    const { policy } = this.#options
    const waits = [
      LONGEST_WAIT_MS,
      noteWaitMs(this.#noteFacts()),
      this.#isLast() ? LONGEST_WAIT_MS : triggerWaitMs(policy, this.#triggerFacts()),
      this.#flight === undefined ? LONGEST_WAIT_MS : this.#flight.triggeredAtMs + policy.timeoutMs - nowMs,
      this.#canceledAtMs === undefined ? LONGEST_WAIT_MS : this.#canceledAtMs + CANCEL_COMMITS_MS - nowMs,
    ]
    return Math.max(1, Math.min(...waits))
  }

  #triggerFacts(): TriggerFacts {
    const nowMs = this.#nowMs()
    return {
      inFlight: this.#flight !== undefined,
      sinceTriggerMs: nowMs - this.#lastTriggerMs,
      sinceResolvedMs: nowMs - this.#lastResolvedMs,
      uncommitted: this.#uncommitted(),
      wanted: this.#wanted,
    }
  }

  #noteFacts(): NoteFacts {
    return {
      committedThrough: this.#committedThrough,
      durableThrough: this.#options.port.durableCommittedThrough,
      sinceCommittedMs: this.#nowMs() - this.#committedAtMs,
      inFlight: this.#flight !== undefined,
      isLast: this.#isLast(),
    }
  }

  #uncommitted(): number {
    return this.#toCommit.length + (this.#committing ? 1 : 0)
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs()
  }
}

function splitsOf({ operators }: Manifest): Extract<ToTask, { kind: 'retained' }>['splits'] {
  const bySource: Record<string, NonNullable<OperatorSnapshot['splits']>> = {}
  for (const { operator, splits } of operators) {
    if (splits !== undefined) bySource[operator] = [...(bySource[operator] ?? []), ...splits]
  }
  return bySource
}

/** It looks again this often, whatever it computed. */
const LONGEST_WAIT_MS = 60_000
