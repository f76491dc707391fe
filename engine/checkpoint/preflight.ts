/**
 * May this run start? Decided from facts before anything is written and before anybody is fenced: a typo must not kill a running job.
 */
import type { LogEntry } from './log-entry.ts'
import type { Manifest } from './manifest.ts'

export interface PreflightFacts {
  readonly job: string
  readonly newest: LogEntry | undefined
  /** Does the holder of the newest entry live? null: cannot be known. */
  readonly holderAlive: boolean | null
  readonly takeOver: boolean
  readonly planHash: string
  readonly settings: Readonly<Record<string, string>>
  /** Of the job as it is now. */
  readonly operators: readonly OperatorFacts[]
  /** The checkpoint this run would restore; undefined: none. */
  readonly manifest: Manifest | undefined
  readonly restore: 'latest' | 'none' | number
  readonly acceptDuplicates: boolean
  readonly acceptLoss: number | null
  readonly drop: readonly string[]
}

export interface OperatorFacts {
  readonly operator: string
  readonly kind: string
  /** Name to kind. */
  readonly state?: Readonly<Record<string, string>>
  /** Sinks: base64 of `scope()`. */
  readonly scope?: string
}

export type PreflightDecision =
  | { readonly kind: 'start' }
  | { readonly kind: 'already-finished' }
  | { readonly kind: 'refuse'; readonly exitCode: 2 | 3; readonly reason: string }

export function decidePreflight(facts: PreflightFacts): PreflightDecision {
  const { newest } = facts
  if (newest === undefined) return facts.restore === 'latest' || facts.restore === 'none' ? START : noSuch(facts)
  if (newest.job !== facts.job)
    return refuse(2, `the store's log belongs to job "${newest.job}", not "${facts.job}"; use another store`)
  const held = heldByOther(facts, newest)
  if (held !== undefined) return held
  if (newest.kind === 'ended' && newest.end?.state === 'FINISHED' && facts.restore === 'latest') {
    if (newest.planHash === facts.planHash && sameSettings(newest.settings, facts.settings))
      return { kind: 'already-finished' }
    return refuse(
      2,
      `job "${facts.job}" has finished with other settings or another plan; start it under another id or store, or begin anew with --restore none --accept-duplicates`,
    )
  }
  return restoreRefusal(facts, newest) ?? operatorRefusal(facts, newest) ?? START
}

const START: PreflightDecision = { kind: 'start' }

function refuse(exitCode: 2 | 3, reason: string): PreflightDecision {
  return { kind: 'refuse', exitCode, reason }
}

function noSuch(facts: PreflightFacts): PreflightDecision {
  return refuse(2, `job "${facts.job}" has no checkpoint ${facts.restore} in this store; it has never run there`)
}

function heldByOther(facts: PreflightFacts, newest: LogEntry): PreflightDecision | undefined {
  if (newest.kind === 'ended' || facts.holderAlive !== true || facts.takeOver) return undefined
  return refuse(
    3,
    `job "${facts.job}" is run by process ${newest.holder.pid} on ${newest.holder.host} (generation ${newest.generation}); ` +
      'stop it, or fence it with --take-over',
  )
}

function restoreRefusal(facts: PreflightFacts, newest: LogEntry): PreflightDecision | undefined {
  const newestCheckpoint = newest.retained.at(-1)?.checkpoint
  if (
    facts.acceptLoss !== null &&
    !newest.retained.some((one) => one.checkpoint === facts.acceptLoss && one.checkpoint > newest.committedThrough)
  ) {
    return refuse(2, `--accept-loss ${facts.acceptLoss}: no commit of that checkpoint is due`)
  }
  if (facts.restore === 'latest' || facts.restore === newestCheckpoint) return undefined
  if (facts.restore !== 'none' && !newest.retained.some((one) => one.checkpoint === facts.restore)) {
    const retained = newest.retained.map((one) => one.checkpoint).join(', ')
    return refuse(
      2,
      `job "${facts.job}" has no checkpoint ${facts.restore} any more; retained are ${retained || 'none'}`,
    )
  }
  if (newestCheckpoint === undefined || facts.acceptDuplicates) return undefined
  return refuse(
    2,
    `--restore ${facts.restore} goes back behind checkpoint ${newestCheckpoint}: what became visible since then is written a second time. ` +
      'Say --accept-duplicates to accept that',
  )
}

function operatorRefusal(facts: PreflightFacts, newest: LogEntry): PreflightDecision | undefined {
  const now = new Map(facts.operators.map((one) => [one.operator, one]))
  const problems: string[] = []
  for (const snapshot of facts.manifest?.operators ?? []) {
    const mine = now.get(snapshot.operator)
    const holds =
      snapshot.state !== undefined || snapshot.splits !== undefined || (snapshot.writerState?.entries.length ?? 0) > 0
    if (mine === undefined) {
      if (holds && !facts.drop.includes(snapshot.operator)) {
        problems.push(
          `operator "${snapshot.operator}" is gone, but the checkpoint holds its ${snapshot.splits === undefined ? 'state' : 'positions'}: bring it back, or give it up with --drop ${snapshot.operator}`,
        )
      }
      continue
    }
    for (const [name, descriptor] of Object.entries(snapshot.state?.descriptors ?? {})) {
      const kind = mine.state?.[name]
      if (kind === descriptor.kind || facts.drop.includes(snapshot.operator)) continue
      problems.push(
        kind === undefined
          ? `state "${name}" of operator "${snapshot.operator}" is gone: bring it back, or give up the operator's state with --drop ${snapshot.operator}`
          : `state "${name}" of operator "${snapshot.operator}" was ${descriptor.kind} and is ${kind} now: use another name, or --drop ${snapshot.operator}`,
      )
    }
  }
  for (const scope of newest.unclean) {
    const mine = now.get(scope.operator)
    if (mine?.scope !== undefined) continue
    problems.push(
      `sink "${scope.operator}" is gone while its leftovers of generation ${scope.generation} may still be outside: run once more with it, then stop cleanly`,
    )
  }
  return problems.length === 0 ? undefined : refuse(2, [...new Set(problems)].join('; '))
}

function sameSettings(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every((name) => a[name] === b[name])
}
