/**
 * A transactional service outside, and the sink that writes to it: transactions are opened under a name, prepared, committed; evidence
 * of a commit is kept until it is forgotten. Everything that becomes visible is checked when it does.
 */
import { jsonCodec, RetryableError, type CommitOutcome, type Committer, type Sink } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

interface Transaction {
  readonly values: unknown[]
  state: 'open' | 'prepared' | 'committed'
  readonly by: SimulatedProcess
}

/** One record as it becomes visible; `order` is the count of its writer, and of the writers that it goes on for. */
export interface Visible {
  readonly writer: string
  readonly order: number
  readonly value: unknown
}

export class Service {
  readonly sink: string
  readonly transactions = new Map<string, Transaction>()
  readonly visible: Visible[] = []
  /** There is one writer at any time: its count is that of all that is visible. */
  isAlone = true
  readonly #next = new Map<string, number>()
  readonly #everNamed = new Set<string>()
  readonly #truth: Truth
  committed = 0

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
    transaction.values.push(...values)
    transaction.state = 'prepared'
  }

  commit(name: string): CommitOutcome {
    const truth = this.#truth
    const transaction = this.transactions.get(name)
    truth.expect(truth.held.has(name), () => `${name} is committed, but no completed checkpoint holds it (C1)`)
    if (transaction?.state === 'committed') return { kind: 'already-committed' }
    if (transaction?.state !== 'prepared') {
      truth.expect(!truth.isDue(name), () => `${name} is due, but ${transaction?.state ?? 'gone'} (C2)`)
      return { kind: 'lost', reason: `${name} is ${transaction?.state ?? 'gone'}` }
    }
    transaction.state = 'committed'
    this.committed += 1
    for (const one of transaction.values as Visible[]) {
      const { order, writer } = one
      const expected = this.isAlone ? this.visible.length : (this.#next.get(writer) ?? order)
      truth.expect(
        order === expected,
        () => `${this.sink}: ${name} shows record ${order} as number ${expected} (C2, C6)`,
      )
      this.#next.set(writer, order + 1)
      this.visible.push(one)
    }
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

interface Prepared {
  readonly name: string
}

export function simulatedSink(
  service: Service,
  process: SimulatedProcess,
  truth: Truth,
): Sink<unknown, Prepared, number> {
  return {
    guarantee: 'exactly-once',
    kind: 'simulated',
    committableCodec: jsonCodec<Prepared>(),
    writerStateCodec: jsonCodec<number>(),
    validate: () => process.effect(`${service.sink}.validate`, () => undefined),
    scope: () => new TextEncoder().encode(service.sink),
    async createWriter(context, restored) {
      await process.effect(`${service.sink}.createWriter`, () => failing(process, 'createWriter'))
      let order = restored.reduce((sum, one) => sum + one, 0)
      const writer = `${context.generation} ${context.subtask}`
      let name: string | undefined
      let epoch: Visible[] = []
      return {
        overlapsPrepare: process.chance() < 0.5,
        async write(batch) {
          const taken = batch.values.map((value) => ({ writer, order: order++, value }))
          epoch.push(...taken)
          if (name === undefined) {
            const mine = context.nextName()
            name = mine
            await process.effect(`${service.sink}.open`, () => service.open(mine, process))
          }
          failing(process, 'write')
        },
        async prepareCommit() {
          const mine = name
          const values = epoch
          name = undefined
          epoch = []
          if (mine === undefined) return []
          await process.effect(`${service.sink}.prepare`, () => {
            failing(process, 'prepare')
            service.prepare(mine, values)
          })
          return [{ name: mine }]
        },
        snapshot: () => [order],
        settled: (through) =>
          truth.expect(
            through <= truth.committedThrough,
            () => `${service.sink} hears that ${through} is settled, the log says ${truth.committedThrough}`,
          ),
        [Symbol.asyncDispose]: () => process.effect(`${service.sink}.close`, () => undefined),
      }
    },
    createCommitter: async () => {
      await process.effect(`${service.sink}.createCommitter`, () => failing(process, 'createCommitter'))
      return simulatedCommitter(service, process)
    },
  }
}

function failing(process: SimulatedProcess, what: string): void {
  if (process.hits(process.rates.task)) throw new Error(`${what} failed`)
}

function simulatedCommitter(service: Service, process: SimulatedProcess): Committer<Prepared, number> {
  const { sink: id } = service
  const fails = (): boolean => process.hits(process.rates.sink)
  return {
    async commit(_permit, requests) {
      const outcomes: CommitOutcome[] = []
      for (const { committable } of requests) {
        // What cannot be committed holds up what is behind it (C6).
        const isHeldUp = outcomes.some((one) => one.kind === 'retry' || one.kind === 'unknown')
        if (isHeldUp || fails()) {
          outcomes.push({ kind: 'retry', afterMs: 5, cause: 'busy' })
          continue
        }
        const outcome = await process.effect(`${id}.commit`, () => service.commit(committable.name))
        if (fails()) throw new RetryableError('the connection broke')
        outcomes.push(fails() ? { kind: 'unknown', cause: 'no answer' } : outcome)
      }
      return fails() ? outcomes.slice(0, -1) : outcomes
    },
    async forget(committables) {
      for (const { name } of committables) {
        await process.effect(`${id}.forget`, () => service.forget(name))
        if (fails()) throw new RetryableError('the connection broke')
      }
    },
    async abortStale(_permit, stale) {
      const keep = new Set(stale.keep.map((one) => one.name))
      let aborted = 0
      for (const name of service.transactions.keys()) {
        if (!stale.isStale(name) || keep.has(name)) continue
        if (fails()) return { aborted, clean: false }
        await process.effect(`${id}.abort`, () => service.abort(name))
        aborted += 1
      }
      return { aborted, clean: true }
    },
    [Symbol.asyncDispose]: () => process.effect(`${id}.closeCommitter`, () => undefined),
  }
}
