/**
 * What a sink that keeps transactions open outside may offer to people: a look at them, and the end of one by hand (`sluice txn`). The
 * engine itself never uses it: a run commits with a `Committer`, and aborts with its `abortStale`.
 */
import type { Logger } from './clock.ts'
import type { JobId, OperatorId } from './ids.ts'

/** Closed by who opened it. Keeps nothing between calls; may be opened while the job runs, and while the outside is out of reach. */
export interface SinkTransactions<C> extends AsyncDisposable {
  /**
   * Reads only. What is open outside (begun, prepared, or about to end) under a name that `isOwn` accepts, and what became of each of `held`:
   * those come first, one for each, in order. An open transaction that is one of `held` comes once, there. What cannot be asked is
   * `unknown`, or makes the answer incomplete; it is not thrown. @throws TerminalError where the same question would always fail
   */
  look(query: TransactionQuery<C>): Promise<SeenTransactions<C>>
  /**
   * Ends exactly this one, and no later use of its name. Idempotent; also right while a run does the same. Only a person asks for it.
   */
  end(permit: HandPermit, transaction: SeenTransaction<C>, how: TransactionEnd): Promise<EndOutcome>
}

/** What a sink is given to look at its transactions, while no task of it runs here: for a person at a command line. */
export interface TransactionsContext {
  readonly job: JobId
  readonly operator: OperatorId
  /** Relative paths of the job are meant relative to this directory. */
  readonly baseDirectory: string
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Which transactions are looked for: those with names of the job's sinks, and those that its checkpoints hold. */
export interface TransactionQuery<C> {
  /** All names of this job begin with one of these; names of other sinks do, too. */
  readonly namePrefixes: readonly string[]
  /** Is this a name that some generation of this job gave to a writer of this sink? */
  readonly isOwn: (name: string) => boolean
  /** Of the checkpoints that are retained. */
  readonly held: readonly C[]
}

/** What the outside told, in no order. */
export interface SeenTransactions<C> {
  readonly transactions: readonly SeenTransaction<C>[]
  /** Why some that are open may be missing; undefined: none is. */
  readonly incomplete: string | undefined
}

/**
 * - `open`: this very one; it can still become visible, or be given up.
 * - `ending`: its end has been decided, and is being carried out.
 * - `committed`: this very one. `gone`: it was aborted, or the outside knows nothing of it; it will not become visible.
 * - `unknown`: it could not be asked, or the answers leave it open.
 */
export type TransactionFate = 'open' | 'ending' | 'committed' | 'gone' | 'unknown'

/** What a person may do with a transaction: make it visible, or give it up. */
export type TransactionEnd = 'commit' | 'abort'

/** One transaction as the outside tells of it now; it may have changed a moment later. */
export interface SeenTransaction<C> {
  /** The external name it was opened with, by which people name it too. Several in turn may have one; only one of them is open. */
  readonly id: string
  /** Left out: none of `held`. */
  readonly held?: C
  readonly fate: TransactionFate
  /** As the outside calls it. */
  readonly state: string
  /** Milliseconds since 1970; null: it is not open, or not known. */
  readonly openSince: number | null
  /** When the outside gives it up by itself; null: not known, or never. */
  readonly expiresAt: number | null
  /** What it writes to, for people: partitions, tables. */
  readonly places: readonly string[]
  /** null: not known. */
  readonly records: number | null
  /** What else tells it apart outside, as `producerId`. */
  readonly details: Readonly<Record<string, string | number>>
}

/** `not-open`: it ended before, and otherwise than was asked for. `unknown`: ask again. */
export type EndOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'not-open'; readonly state: string }
  | { readonly kind: 'unknown'; readonly cause: unknown }

declare const permittedByHand: unique symbol
/** Exists only for an end that a person asked for, that the log allows or whose cost the person accepted, while no process runs the job. */
export interface HandPermit {
  readonly [permittedByHand]: true
}
