/**
 * The sink that writes to a simulated service. Its writers keep a count of all that was ever written, in entries that are dealt out anew at
 * another parallelism: together they must always be what the service has been given.
 */
import { jsonCodec, RetryableError, type CommitOutcome, type Committer, type Sink } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Service } from './service.ts'
import type { Truth } from './truth.ts'

export interface Prepared {
  readonly name: string
}

/** One entry of writer state: made by the writer of this name, handed on ever since. */
export interface Written {
  readonly by: string
  readonly records: number
}

export interface SinkSurroundings {
  readonly process: SimulatedProcess
  readonly truth: Truth
  readonly serviceOf: (operator: string) => Service
}

export function simulatedSink<T>({ process, truth, serviceOf }: SinkSurroundings): Sink<T, Prepared, Written> {
  return {
    guarantee: 'exactly-once',
    kind: 'simulated',
    committableCodec: jsonCodec<Prepared>(),
    writerStateCodec: jsonCodec<Written>(),
    validate: ({ operator }) => process.effect(`${operator}.validate`, () => undefined),
    scope: () => new TextEncoder().encode('service'),
    async createWriter(context, restored) {
      const { operator } = context
      await process.effect(`${operator}.createWriter`, () => failing(process, 'createWriter'))
      const [first = { by: context.nextName(), records: 0 }, ...others] = restored
      let { records } = first
      let name: string | undefined
      let epoch: unknown[] = []
      const service = serviceOf(operator)
      return {
        overlapsPrepare: process.chance() < 0.5,
        async write(batch) {
          records += batch.values.length
          epoch.push(...batch.values)
          if (name === undefined) {
            const mine = context.nextName()
            name = mine
            await process.effect(`${operator}.open`, () => service.open(mine, process))
          }
          failing(process, 'write')
        },
        async prepareCommit() {
          const mine = name
          const values = epoch
          name = undefined
          epoch = []
          if (mine === undefined) return []
          await process.effect(`${operator}.prepare`, () => {
            failing(process, 'prepare')
            service.prepare(mine, values)
          })
          return [{ name: mine }]
        },
        snapshot: () => [{ ...first, records }, ...others],
        settled: (through) =>
          truth.expect(
            through <= truth.committedThrough,
            () => `${operator} hears that ${through} is settled, the log says ${truth.committedThrough}`,
          ),
        [Symbol.asyncDispose]: () => process.effect(`${operator}.close`, () => undefined),
      }
    },
    createCommitter: async ({ operator }) => {
      await process.effect(`${operator}.createCommitter`, () => failing(process, 'createCommitter'))
      return simulatedCommitter(serviceOf(operator), process)
    },
  }
}

function failing(process: SimulatedProcess, what: string): void {
  if (process.hits(process.rates.task)) throw new Error(`${what} failed`)
}

function simulatedCommitter(service: Service, process: SimulatedProcess): Committer<Prepared, Written> {
  const { sink: operator } = service
  const fails = (): boolean => process.hits(process.rates.sink)
  return {
    async commit(_permit, requests) {
      const outcomes: CommitOutcome[] = []
      for (const { committable, id } of requests) {
        // What cannot be committed holds up what is behind it (C6).
        const isHeldUp = outcomes.some((one) => one.kind === 'retry' || one.kind === 'unknown')
        if (isHeldUp || fails()) {
          outcomes.push({ kind: 'retry', afterMs: 5, cause: 'busy' })
          continue
        }
        const outcome = await process.effect(`${operator}.commit`, () => service.commit(committable.name, id))
        if (fails()) throw new RetryableError('the connection broke')
        outcomes.push(fails() ? { kind: 'unknown', cause: 'no answer' } : outcome)
      }
      return fails() ? outcomes.slice(0, -1) : outcomes
    },
    async forget(committables) {
      const until = fails() ? Math.floor(process.chance() * committables.length) : committables.length
      for (const { name } of committables.slice(0, until)) {
        await process.effect(`${operator}.forget`, () => service.forget(name))
      }
      if (until < committables.length) throw new RetryableError('the connection broke')
    },
    async abortStale(_permit, stale) {
      const keep = new Set(stale.keep.map((one) => one.name))
      const names = [...service.transactions.keys()].filter((name) => stale.isStale(name) && !keep.has(name))
      const until = fails() ? Math.floor(process.chance() * names.length) : names.length
      for (const name of names.slice(0, until)) {
        await process.effect(`${operator}.abort`, () => service.abort(name))
      }
      return { aborted: until, clean: until === names.length }
    },
    [Symbol.asyncDispose]: () => process.effect(`${operator}.closeCommitter`, () => undefined),
  }
}
