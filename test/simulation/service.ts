/**
 * A transactional service outside, that a sink writes to: transactions are opened under a name, prepared, committed; evidence of a commit
 * is kept until it is forgotten. What becomes visible is checked when it does.
 */
import type { CommitOutcome, CommitRequestId } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

export interface Transaction {
  values: readonly unknown[]
  state: 'open' | 'prepared' | 'committed'
  readonly by: SimulatedProcess
}

export class Service {
  readonly sink: string
  readonly transactions = new Map<string, Transaction>()
  readonly visible: unknown[] = []
  /** Of all that was ever prepared, by name. */
  readonly prepared = new Map<string, readonly unknown[]>()
  readonly #everNamed = new Set<string>()
  readonly #truth: Truth
  #newest: CommitRequestId | undefined

  constructor(sink: string, truth: Truth) {
    this.sink = sink
    this.#truth = truth
  }

  /** What a dead process has left and nobody will commit. */
  leftovers(): readonly { readonly sink: string; readonly name: string }[] {
    const isLeft = ([name, { state, by }]: readonly [string, Transaction]): boolean =>
      state !== 'committed' && by.state === 'dead' && !by.isZombie && !this.#truth.held.has(name)
    return [...this.transactions].filter(isLeft).map(([name]) => ({ sink: this.sink, name }))
  }

  open(name: string, by: SimulatedProcess): void {
    this.#truth.expect(!this.#everNamed.has(name), () => `${name} is opened a second time (C5)`)
    this.#everNamed.add(name)
    this.transactions.set(name, { values: [], state: 'open', by })
  }

  prepare(name: string, values: readonly unknown[]): void {
    const transaction = this.transactions.get(name)
    // Somebody newer aborted it: what is prepared by a process that was fenced.
    if (transaction === undefined) throw new Error(`${name} does not exist any more`)
    transaction.values = values
    transaction.state = 'prepared'
    this.prepared.set(name, values)
  }

  commit(name: string, id: CommitRequestId): CommitOutcome {
    const truth = this.#truth
    const transaction = this.transactions.get(name)
    truth.expect(truth.held.has(name), () => `${name} is committed, but no completed checkpoint holds it (C1)`)
    if (transaction?.state === 'committed') return { kind: 'already-committed' }
    if (transaction?.state !== 'prepared') {
      truth.expect(!truth.isDue(name), () => `${name} is due, but ${transaction?.state ?? 'gone'} (C2)`)
      return { kind: 'lost', reason: `${name} is ${transaction?.state ?? 'gone'}` }
    }
    transaction.state = 'committed'
    const newest = this.#newest
    truth.expect(
      newest === undefined || isBefore(newest, id),
      () => `${this.sink}: ${textOf(id)} becomes visible behind ${newest && textOf(newest)} (C6)`,
    )
    this.#newest = id
    this.visible.push(...transaction.values)
    return { kind: 'committed' }
  }

  forget(name: string): void {
    const truth = this.#truth
    const transaction = this.transactions.get(name)
    if (transaction === undefined) return
    truth.expect(!truth.isDue(name), () => `${name} is forgotten before its commit is a durable fact (F33)`)
    truth.expect(transaction.state === 'committed', () => `${name} is forgotten, but ${transaction.state} (C2)`)
    this.transactions.delete(name)
  }

  abort(name: string): void {
    const truth = this.#truth
    truth.expect(!truth.isDue(name), () => `${name} is aborted while its commit is due (S2)`)
    this.transactions.delete(name)
  }
}

function isBefore(a: CommitRequestId, b: CommitRequestId): boolean {
  const difference =
    a.checkpoint - b.checkpoint || a.generation - b.generation || a.subtask - b.subtask || a.index - b.index
  return difference < 0
}

function textOf({ checkpoint, generation, subtask, index }: CommitRequestId): string {
  return `what subtask ${subtask} of generation ${generation} prepared for checkpoint ${checkpoint} (${index})`
}
