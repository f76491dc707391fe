/**
 * Makes the log entries of this process: each self-contained, carrying over what the newest one says.
 */
import { parseGeneration, parseJobId, type JobId, type LineageId, type Runtime } from '../api/index.ts'
import type { EndState, EntryKind, HolderIdentity, LogEntry, Phase, UncleanScope } from '../checkpoint/log-entry.ts'
import { choiceOf, type RestoreChoice, type Restoring } from '../checkpoint/restore-choice.ts'

export interface EntryFacts {
  readonly job: string
  /** Of a job that begins: the first start of all, or a rollback. */
  readonly newLineage: LineageId
  readonly holder: HolderIdentity
  readonly settings: Readonly<Record<string, string>>
  readonly codeIdentity: string
  readonly planHash: string
  readonly parallelism: number
  /** Scope of each sink of this job. */
  readonly scopes: readonly { readonly operator: string; readonly scope: Uint8Array }[]
  readonly acceptLoss: number | null
  /**
   * What is restored instead of the newest of such a log (a new lineage): other checkpoints are not carried. Undefined: the newest. Asked of
   * what the start begins above: the log may have gone on since the preflight.
   */
  restoringAbove(newest: LogEntry | undefined): Restoring | undefined
}

const FAILURES_KEPT = 10
/** Entries that decide nothing about what is retained: what was to be restored is still to be. */
const UNDECIDED: ReadonlySet<EntryKind> = new Set(['alive', 'ended'])

export class Entries {
  readonly #facts: EntryFacts
  readonly #runtime: Runtime
  readonly #job: JobId
  #cleanBelow = 0
  #failures: LogEntry['failures'] = []
  #restoring: Restoring | undefined
  #rolledBack = false
  #firstCheckpoint = 1
  #phase: Phase = 'starting'
  #isStopping = false

  constructor(facts: EntryFacts, runtime: Runtime) {
    this.#facts = facts
    this.#runtime = runtime
    this.#job = parseJobId(facts.job)
  }

  /** Scopes of generations below are cleanly aborted: the next entry drops them. */
  cleanBelow(generation: number): void {
    this.#cleanBelow = Math.max(this.#cleanBelow, generation)
  }

  /** What the next entries say that we are doing; once we are stopping, they say that. */
  enter(phase: Phase): void {
    this.#phase = phase
    this.#isStopping ||= phase === 'stopping'
  }

  get phase(): Phase {
    return this.#isStopping ? 'stopping' : this.#phase
  }

  failed(generation: number, message: string): void {
    const failure = { at: this.#runtime.clock.now(), generation, message: message.slice(0, 2_000) }
    this.#failures = [...this.#failures, failure].slice(-FAILURES_KEPT)
  }

  started(seq: number, newest: LogEntry | undefined, restarts: number): LogEntry {
    const generation = parseGeneration((newest?.generation ?? 0) + 1)
    const facts = this.#facts
    if (restarts === 0) {
      this.#firstCheckpoint = newest?.nextCheckpoint ?? 1
      this.#restoring = facts.restoringAbove(newest)
    }
    this.#failures = [
      ...new Map(
        [...(newest?.failures ?? []), ...this.#failures].map((one) => [`${one.at} ${one.generation}`, one]),
      ).values(),
    ].slice(-FAILURES_KEPT)
    const lineage = this.restore === 'latest' ? (newest?.lineage ?? facts.newLineage) : facts.newLineage
    const mine = facts.scopes.map(({ operator, scope }): UncleanScope => ({
      operator,
      generation,
      lineage,
      scope: Buffer.from(scope).toString('base64'),
    }))
    return {
      format: 1,
      seq,
      kind: 'started',
      job: this.#job,
      lineage,
      generation,
      nonce: this.#runtime.random.token(16),
      holder: facts.holder,
      at: this.#runtime.clock.now(),
      retained: newest?.retained ?? [],
      committedThrough: newest?.committedThrough ?? 0,
      nextCheckpoint: newest?.nextCheckpoint ?? 1,
      unclean: [...(newest === undefined ? [] : mergeScopes(newest)), ...mine],
      acceptedLosses: [
        ...new Set([...(newest?.acceptedLosses ?? []), ...(facts.acceptLoss === null ? [] : [facts.acceptLoss])]),
      ],
      settings: facts.settings,
      codeIdentity: facts.codeIdentity,
      planHash: facts.planHash,
      parallelism: facts.parallelism,
      restarts,
      failures: this.#failures,
      phase: this.phase,
      ...(this.#rolledBack || this.#restoring === undefined ? {} : { restoring: this.#restoring }),
    }
  }

  /** The next entry of the generation that appended `newest`. */
  extend(seq: number, newest: LogEntry, part: EntryPart): LogEntry {
    const { end: _, restoring, ...carried } = newest
    return {
      ...carried,
      ...(restoring === undefined || !UNDECIDED.has(part.kind) ? {} : { restoring }),
      ...part,
      seq,
      nonce: this.#runtime.random.token(16),
      at: this.#runtime.clock.now(),
      unclean: newest.unclean.flatMap((scope) => uncleanFrom(scope, this.#cleanBelow)),
      failures: this.#failures,
      phase: this.phase,
    }
  }

  /** What the next recovery restores: what was asked for, until a rollback is in the log; from then on the newest. */
  get restore(): RestoreChoice {
    return this.#rolledBack || this.#restoring === undefined ? 'latest' : choiceOf(this.#restoring)
  }

  /** The entry that carries out the rollback is durable. */
  rolledBack(): void {
    this.#rolledBack = true
  }

  /** Was this checkpoint completed, or imported, by this process? */
  isOurs(checkpoint: number): boolean {
    return checkpoint >= this.#firstCheckpoint
  }

  /** Is this start a rollback to another checkpoint than this one? */
  givesUp(checkpoint: number): boolean {
    const { restore } = this
    return restore !== 'latest' && restore !== checkpoint
  }

  ended(seq: number, newest: LogEntry, state: EndState, reason: string | undefined): LogEntry {
    return this.extend(seq, newest, { kind: 'ended', end: reason === undefined ? { state } : { state, reason } })
  }
}

/**
 * One for each sink, place and lineage, of all generations that may have left something there: starts that fail again and again do not
 * make entries grow (C8).
 */
function mergeScopes({ lineage, unclean }: LogEntry): readonly UncleanScope[] {
  const merged = new Map<string, UncleanScope>()
  for (const one of unclean) {
    const scope = { ...one, lineage: one.lineage ?? lineage }
    const key = `${scope.operator} ${scope.lineage} ${scope.scope}`
    const before = merged.get(key)
    const since = Math.min(sinceOf(scope), before === undefined ? Infinity : sinceOf(before))
    const generation = Math.max(scope.generation, before?.generation ?? 0)
    merged.set(key, { ...scope, generation, since })
  }
  return [...merged.values()]
}

function uncleanFrom(scope: UncleanScope, generation: number): readonly UncleanScope[] {
  if (scope.generation < generation) return []
  return sinceOf(scope) >= generation ? [scope] : [{ ...scope, since: generation }]
}

function sinceOf({ since, generation }: UncleanScope): number {
  return since ?? generation
}

export type EntryPart = Pick<LogEntry, 'kind'> &
  Partial<Pick<LogEntry, 'retained' | 'committedThrough' | 'nextCheckpoint' | 'end'>>
