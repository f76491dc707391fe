/**
 * May this run start? Decided from facts before anything is written and before anybody is fenced: a typo must not kill a running job.
 * The same question is asked again after `started`, of the entry it was made from (see start.ts).
 *
 * - Exit code 3: somebody else holds the job, nobody is fenced. Exit code 2: the request cannot be kept; the reason names what would.
 * - C7: nothing is given up silently: positions, state, due commits and leftovers need a word from the operator of the job.
 */
import type { LogEntry } from './log-entry.ts'
import type { Manifest, OperatorSnapshot } from './manifest.ts'
import { restoreText, type RestoreChoice } from './restore-choice.ts'
import { goesBack } from './repetition.ts'
import { isNewestOf, type SavepointDescription } from './savepoint.ts'

export interface PreflightFacts {
  readonly job: string
  readonly newest: LogEntry | undefined
  /** Does the holder of the newest entry live? null: cannot be known, and watching the log showed no sign of life. */
  readonly holderAlive: boolean | null
  readonly takeOver: boolean
  readonly planHash: string
  readonly settings: Readonly<Record<string, string>>
  /** Of the job as it is now. */
  readonly operators: readonly OperatorFacts[]
  /** The checkpoint this run would restore; undefined: none. */
  readonly manifest: Manifest | undefined
  /** Sinks that completed and uncommitted checkpoints hold commits of, beyond what is seen in `manifest` and inline manifests. */
  readonly dueSinks?: readonly string[]
  /** Key groups of the job as it is now; compared where given. */
  readonly maxParallelism?: number
  readonly restore: RestoreChoice
  /** What is restored, when the choice is a savepoint. */
  readonly savepoint?: { readonly uri: string; readonly description: SavepointDescription } | undefined
  /** What would be done again, in words. */
  readonly repeated?: string | undefined
  readonly acceptDuplicates: boolean
  readonly acceptLoss: number | null
  readonly drop: readonly string[]
}

export interface OperatorFacts {
  readonly operator: string
  readonly kind: string
  /** Keyed; name to kind. */
  readonly state?: Readonly<Record<string, string>>
  /** Name to kind. */
  readonly operatorState?: Readonly<Record<string, string>>
  /** Sinks: base64 of `scope()`. */
  readonly scope?: string
  /** Sinks: base64 of `scope()` at the other parallelisms the job has run with; a scope among them is not a changed one. */
  readonly formerScopes?: readonly string[]
  /** Sinks. */
  readonly isWriterStatePortable?: boolean
}

export type PreflightDecision = { readonly kind: 'start' } | { readonly kind: 'already-finished' } | Refusal

export interface Refusal {
  readonly kind: 'refuse'
  readonly exitCode: 2 | 3
  readonly code: string
  readonly reason: string
}

export function decidePreflight(facts: PreflightFacts): PreflightDecision {
  const { newest } = facts
  if (newest === undefined) {
    if (facts.restore === 'savepoint') return savepointRefusal(facts) ?? operatorRefusal(facts, newest) ?? START
    return facts.restore === 'latest' || facts.restore === 'none' ? START : noSuch(facts)
  }
  if (newest.job !== facts.job)
    return refuse(
      'SLUICE_STORE_OF_OTHER_JOB',
      `the store's log belongs to job "${newest.job}", not "${facts.job}"; use another store`,
    )
  const held = heldByOther(facts, newest)
  if (held !== undefined) return held
  if (newest.kind === 'ended' && newest.end?.state === 'FINISHED' && facts.restore === 'latest') {
    if (newest.planHash === facts.planHash && sameSettings(newest.settings, facts.settings))
      return { kind: 'already-finished' }
    return refuse(
      'SLUICE_JOB_FINISHED',
      `job "${facts.job}" has finished with other settings or another plan; start it under another id or store, ` +
        `or begin anew with --restore none --accept-duplicates`,
    )
  }
  return (
    pendingRefusal(facts, newest) ??
    restoreRefusal(facts, newest) ??
    savepointRefusal(facts) ??
    operatorRefusal(facts, newest) ??
    START
  )
}

const START: PreflightDecision = { kind: 'start' }

function refuse(code: string, reason: string): Refusal {
  return { kind: 'refuse', exitCode: 2, code, reason }
}

/** What stands against a start, one of perhaps several things. */
interface Problem {
  readonly code: string
  readonly reason: string
}

function problem(code: string, reason: string): Problem {
  return { code, reason }
}

function noSuch(facts: PreflightFacts): PreflightDecision {
  return refuse(
    'SLUICE_CHECKPOINT_UNKNOWN',
    `job "${facts.job}" has no checkpoint ${facts.restore} in this store; it has never run there`,
  )
}

/** The run before ended between its start and the entry that would have carried out what it was told: nobody knows what is wanted now. */
function pendingRefusal({ job, restore }: PreflightFacts, newest: LogEntry): Refusal | undefined {
  const { restoring } = newest
  if (restoring === undefined || restore !== 'latest') return undefined
  const checkpoint = newest.retained.at(-1)?.checkpoint
  const instead = checkpoint === undefined ? 'begin anew with --restore none' : `go on with --restore ${checkpoint}`
  return refuse(
    'SLUICE_RESTORE_PENDING',
    `job "${job}" was last run with --restore ${restoreText(restoring)} and ended before that was done; say it again, or ${instead}`,
  )
}

function savepointRefusal({ savepoint, operators, drop, manifest }: PreflightFacts): Refusal | undefined {
  if (savepoint === undefined) return undefined
  const { uri, description } = savepoint
  if (description.final) {
    return refuse(
      'SLUICE_SAVEPOINT_FINAL',
      `the savepoint ${uri} is of job "${description.job}" after its input had ended: there is nothing left to run from it`,
    )
  }
  const portable = new Set(operators.filter((one) => one.isWriterStatePortable === true).map((one) => one.operator))
  const open = manifest?.operators.filter(({ operator, writerState }) => {
    const isOpen = (writerState?.entries.length ?? 0) > 0
    return isOpen && !portable.has(operator) && !drop.includes(operator)
  })
  const names = [...new Set(open?.map(({ operator }) => operator))]
  if (names.length === 0) return undefined
  const sinks = names.map((name) => `"${name}"`).join(', ')
  return refuse(
    'SLUICE_SAVEPOINT_OPEN_OUTPUT',
    `sink ${sinks} had output open at checkpoint ${description.checkpoint} that lies outside the savepoint ${uri}, and may have been ` +
      `delivered or removed since: give it up with ${names.map((name) => `--drop ${name}`).join(' ')} (this run then does not write ` +
      'those records), or take a savepoint of the job when its sinks keep nothing open',
  )
}

function heldByOther(facts: PreflightFacts, newest: LogEntry): Refusal | undefined {
  if (newest.kind === 'ended' || facts.holderAlive !== true || facts.takeOver) return undefined
  const held = refuse(
    'SLUICE_JOB_HELD',
    `job "${facts.job}" is run by process ${newest.holder.pid} on ${newest.holder.host} (generation ${newest.generation}); ` +
      'stop it, or fence it with --take-over',
  )
  return { ...held, exitCode: 3 }
}

function restoreRefusal(facts: PreflightFacts, newest: LogEntry): Refusal | undefined {
  const newestCheckpoint = newest.retained.at(-1)?.checkpoint
  if (
    facts.acceptLoss !== null &&
    !newest.retained.some((one) => one.checkpoint === facts.acceptLoss && one.checkpoint > newest.committedThrough)
  ) {
    return refuse('SLUICE_LOSS_NOT_DUE', `--accept-loss ${facts.acceptLoss}: no commit of that checkpoint is due`)
  }
  if (facts.restore === 'latest' || facts.restore === newestCheckpoint) return undefined
  if (typeof facts.restore === 'number' && !newest.retained.some((one) => one.checkpoint === facts.restore)) {
    const retained = newest.retained.map((one) => one.checkpoint).join(', ')
    return refuse(
      'SLUICE_CHECKPOINT_UNKNOWN',
      `job "${facts.job}" has no checkpoint ${facts.restore}; retained are ${retained || 'none'}`,
    )
  }
  const isNewest = facts.savepoint !== undefined && isNewestOf(facts.savepoint.description, newest)
  if (!goesBack(facts.restore, newestCheckpoint, isNewest) || facts.acceptDuplicates) return undefined
  const said = facts.savepoint?.uri ?? facts.restore
  const repeated = facts.repeated ?? 'what became visible since then is written a second time'
  return refuse(
    'SLUICE_DUPLICATES_NOT_ACCEPTED',
    `--restore ${said} goes back behind checkpoint ${newestCheckpoint}: ${repeated}. Say --accept-duplicates to accept that`,
  )
}

function operatorRefusal(facts: PreflightFacts, newest: LogEntry | undefined): Refusal | undefined {
  const now = new Map(facts.operators.map((one) => [one.operator, one]))
  const problems: Problem[] = []
  const { manifest, maxParallelism } = facts
  if (manifest !== undefined && maxParallelism !== undefined && manifest.maxParallelism !== maxParallelism) {
    problems.push(
      problem(
        'SLUICE_KEY_GROUPS_CHANGED',
        `checkpoint ${manifest.checkpoint} is divided into ${manifest.maxParallelism} key groups, the job into ${maxParallelism}: ` +
          `set the maximum parallelism back to ${manifest.maxParallelism}`,
      ),
    )
  }
  for (const snapshot of manifest?.operators ?? []) {
    if (facts.drop.includes(snapshot.operator)) continue
    const mine = now.get(snapshot.operator)
    if (mine === undefined) problems.push(...goneProblems(snapshot))
    else problems.push(...changeProblems(snapshot, mine))
  }
  problems.push(...sinkProblems(facts, newest, now))
  const [first] = problems
  if (first === undefined) return undefined
  return refuse(first.code, [...new Set(problems.map(({ reason }) => reason))].join('; '))
}

function goneProblems({ operator, state, operatorState, splits, writerState }: OperatorSnapshot): readonly Problem[] {
  const hasState = state !== undefined || operatorState !== undefined || (writerState?.entries.length ?? 0) > 0
  if (!hasState && splits === undefined) return []
  const held = splits === undefined ? 'state' : 'positions'
  return [
    problem(
      'SLUICE_OPERATOR_GONE',
      `operator "${operator}" is gone, but the checkpoint holds its ${held}: bring it back, or give it up with --drop ${operator}`,
    ),
  ]
}

function changeProblems(snapshot: OperatorSnapshot, mine: OperatorFacts): readonly Problem[] {
  const { operator } = snapshot
  if (snapshot.splits !== undefined && mine.kind !== 'source') {
    return [
      problem(
        'SLUICE_OPERATOR_CHANGED',
        `operator "${operator}" was a source and is a ${mine.kind} now: use another id, or give up its positions with --drop ${operator}`,
      ),
    ]
  }
  return [
    ...stateProblems(operator, { what: 'state', held: snapshot.state?.descriptors, now: mine.state }),
    ...stateProblems(operator, {
      what: 'operator state',
      held: snapshot.operatorState?.descriptors,
      now: mine.operatorState,
    }),
  ]
}

interface StateFacts {
  readonly what: string
  readonly held: Readonly<Record<string, { readonly kind: string }>> | undefined
  readonly now: Readonly<Record<string, string>> | undefined
}

function stateProblems(operator: string, { what, held = {}, now = {} }: StateFacts): readonly Problem[] {
  return Object.entries(held).flatMap(([name, descriptor]) => {
    const kind = now[name]
    if (kind === descriptor.kind) return []
    return [
      problem(
        'SLUICE_STATE_CHANGED',
        kind === undefined
          ? `${what} "${name}" of operator "${operator}" is gone: bring it back, or give up the operator's state with --drop ${operator}`
          : `${what} "${name}" of operator "${operator}" was ${descriptor.kind} and is ${kind} now: use another name, or --drop ${operator}`,
      ),
    ]
  })
}

/** A sink that is gone or writes elsewhere now could neither commit what is due nor abort what is left, drop list or not. */
function sinkProblems(
  facts: PreflightFacts,
  newest: LogEntry | undefined,
  now: ReadonlyMap<string, OperatorFacts>,
): readonly Problem[] {
  if (newest === undefined) return []
  const problems: Problem[] = []
  const gone = [...dueSinksOf(facts, newest)].filter((sink) => now.get(sink)?.kind !== 'sink')
  for (const sink of gone) {
    problems.push(
      problem(
        'SLUICE_SINK_GONE',
        `sink "${sink}" is gone, but its commits are due: run once more with it, until they are delivered`,
      ),
    )
  }
  for (const { operator, generation, scope } of newest.unclean) {
    const mine = now.get(operator)
    if (mine?.scope === undefined) {
      // It is said already.
      if (gone.includes(operator)) continue
      problems.push(
        problem(
          'SLUICE_SINK_GONE',
          `sink "${operator}" is gone while its leftovers of generation ${generation} may still be outside: run once more with it, then stop cleanly`,
        ),
      )
    } else if (mine.scope !== scope && mine.formerScopes?.includes(scope) !== true) {
      problems.push(
        problem(
          'SLUICE_SINK_MOVED',
          `sink "${operator}" writes to another place now, while its leftovers of generation ${generation} may still be at the old one: ` +
            'run once more with the old one, then stop cleanly',
        ),
      )
    }
  }
  return problems
}

function dueSinksOf(facts: PreflightFacts, newest: LogEntry): ReadonlySet<string> {
  const inline = newest.retained.flatMap((one) => ('inline' in one ? [one.inline] : []))
  const manifests = facts.manifest === undefined ? inline : [...inline, facts.manifest]
  const due = manifests.filter((one) => one.checkpoint > newest.committedThrough).flatMap((one) => one.operators)
  return new Set([
    ...(facts.dueSinks ?? []),
    ...due.filter((one) => (one.committables?.length ?? 0) > 0).map((one) => one.operator),
  ])
}

function sameSettings(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every((name) => a[name] === b[name])
}
