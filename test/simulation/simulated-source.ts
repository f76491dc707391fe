/**
 * A replayable source over lists in memory, one for each split, that forgets what is acknowledged: what is asked for again after that is a
 * violation. Batch sizes, and which split comes next, are left to the seed. Where splits appear while it is read, it has ended when every one of
 * them is with a reader.
 */
import { RetryableError, type Polled, type Source } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

export interface SimulatedSplit {
  readonly id: string
}

/** What a source of the job reads, outside all processes. */
export class Input {
  readonly operator: string
  /** By split. */
  readonly records: ReadonlyMap<string, readonly unknown[]>
  /** Below this, records are gone. */
  readonly acknowledged = new Map<string, number>()

  /** Behind how many checkpoints each split appears. */
  readonly #appearing: readonly number[]
  /** By generation: what is with a reader, or has ended. */
  readonly #taken = new Map<number, Set<string>>()

  constructor(operator: string, splits: readonly (readonly unknown[])[], appearing: readonly number[]) {
    this.operator = operator
    this.records = new Map(splits.map((records, index) => [`${operator}${index}`, records]))
    this.#appearing = appearing
  }

  /** Splits that there are when so many checkpoints have completed. */
  after(checkpoints: number): readonly string[] {
    return [...this.records.keys()].filter((_, index) => (this.#appearing[index] ?? 0) <= checkpoints)
  }

  takenIn(generation: number, truth: Truth): Set<string> {
    const taken = this.#taken.get(generation) ?? new Set(endedIn(truth, this.operator))
    this.#taken.set(generation, taken)
    return taken
  }
}

const DISCOVER_EVERY_MS = 5

export interface SourceSurroundings {
  readonly process: SimulatedProcess
  readonly truth: Truth
  readonly inputOf: (operator: string) => Input
  /** Not all are there from the beginning. */
  readonly doSplitsAppear: boolean
}

export function simulatedSource<T>(surroundings: SourceSurroundings): Source<T, SimulatedSplit, number> {
  const { process, truth, inputOf, doSplitsAppear } = surroundings
  return {
    kind: 'simulated',
    guarantee: 'exactly-once',
    validate: ({ operator }) => process.effect(`${operator}.validate`, () => undefined),
    ...(doSplitsAppear ? { discoverEveryMs: DISCOVER_EVERY_MS } : {}),
    discover: ({ operator }) =>
      process.effect(`${operator}.discover`, () => {
        if (doSplitsAppear && process.hits(process.rates.task)) throw new RetryableError('the discovery failed')
        return inputOf(operator)
          .after(truth.completed)
          .map((id) => ({ split: { id }, start: 0 }))
      }),
    async createReader({ operator, generation }) {
      const input = inputOf(operator)
      const taken = input.takenIn(generation, truth)
      const open = new Map<string, number>()
      const take = (splits: readonly { readonly split: SimulatedSplit; readonly position: number }[]): void => {
        for (const { split, position } of splits) {
          const gone = input.acknowledged.get(split.id) ?? 0
          truth.expect(
            position >= gone || process.isZombie,
            () => `${split.id} is asked for ${position}, only ${gone} is left (C4)`,
          )
          truth.expect(!taken.has(split.id) || process.isZombie, () => `${split.id} is given to two readers (C4)`)
          taken.add(split.id)
          open.set(split.id, position)
        }
      }
      const canMoreCome = (): boolean => doSplitsAppear && [...input.records.keys()].some((id) => !taken.has(id))
      return {
        assign: (splits) => process.effect(`${operator}.assign`, () => take(splits)),
        addSplits: (splits) => process.effect(`${operator}.addSplits`, () => take(splits)),
        poll: () => process.effect(`${operator}.poll`, () => next<T>(process, input, { open, canMoreCome })),
        acknowledge: (positions) =>
          process.effect(`${operator}.acknowledge`, () => {
            for (const { split, position } of positions) acknowledge(input, truth, split.id, position)
          }),
        [Symbol.asyncDispose]: () => process.effect(`${operator}.close`, () => undefined),
      }
    },
  }
}

function next<T>(
  process: SimulatedProcess,
  { records }: Input,
  { open, canMoreCome }: { readonly open: Map<string, number>; readonly canMoreCome: () => boolean },
): Polled<T, SimulatedSplit, number> {
  if (process.hits(process.rates.task)) throw new Error('the poll failed')
  const ids = [...open.keys()]
  const id = ids[Math.floor(process.chance() * ids.length)]
  if (id === undefined) return canMoreCome() ? { kind: 'idle', retryAfterMs: 3 } : { kind: 'ended' }
  if (process.chance() < 0.1) return { kind: 'idle', retryAfterMs: 3 }
  const all = records.get(id) ?? []
  const at = open.get(id) ?? 0
  if (at >= all.length) {
    open.delete(id)
    return { kind: 'split-ended', split: { id } }
  }
  const values = all.slice(at, at + Math.floor(process.chance() * 4)) as T[]
  open.set(id, at + values.length)
  return { kind: 'records', split: { id }, records: { values }, after: at + values.length }
}

/** They are given to no reader any more. */
function endedIn(truth: Truth, source: string): readonly string[] {
  const parts =
    truth
      .manifests()
      .at(-1)
      ?.operators.filter(({ operator }) => operator === source) ?? []
  return parts
    .flatMap((one) => one.splits ?? [])
    .filter(({ ended }) => ended)
    .map(({ split }) => split.id)
}

/** Not above what any retained checkpoint would ask for. */
function acknowledge(input: Input, truth: Truth, id: string, position: number): void {
  for (const { checkpoint, operators } of truth.manifests()) {
    const splits = operators.flatMap((one) => (one.operator === input.operator ? (one.splits ?? []) : []))
    const mine = splits.find(({ split }) => split.id === id)
    const needed = mine === undefined ? 0 : Number(mine.position)
    truth.expect(
      position <= needed,
      () => `${id} is acknowledged to ${position}, retained checkpoint ${checkpoint} needs ${needed}`,
    )
  }
  input.acknowledged.set(id, Math.max(input.acknowledged.get(id) ?? 0, position))
}
