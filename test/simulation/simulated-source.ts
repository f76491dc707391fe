/**
 * A replayable source over lists in memory, one for each split, that forgets what is acknowledged: what is asked for again after that is a
 * violation. Batch sizes, and which split comes next, are left to the seed.
 */
import type { Polled, Source } from '../../engine/api/index.ts'
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

  constructor(operator: string, splits: readonly (readonly unknown[])[]) {
    this.operator = operator
    this.records = new Map(splits.map((records, index) => [`${operator}${index}`, records]))
  }
}

export interface SourceSurroundings {
  readonly process: SimulatedProcess
  readonly truth: Truth
  readonly inputOf: (operator: string) => Input
}

export function simulatedSource<T>(surroundings: SourceSurroundings): Source<T, SimulatedSplit, number> {
  const { process, truth, inputOf } = surroundings
  return {
    kind: 'simulated',
    guarantee: 'exactly-once',
    validate: ({ operator }) => process.effect(`${operator}.validate`, () => undefined),
    discover: ({ operator }) =>
      process.effect(`${operator}.discover`, () =>
        [...inputOf(operator).records.keys()].map((id) => ({ split: { id }, start: 0 })),
      ),
    async createReader({ operator }) {
      const input = inputOf(operator)
      const open = new Map<string, number>()
      return {
        assign: (splits) =>
          process.effect(`${operator}.assign`, () => {
            for (const { split, position } of splits) {
              const gone = input.acknowledged.get(split.id) ?? 0
              truth.expect(
                position >= gone || process.isZombie,
                () => `${split.id} is asked for ${position}, only ${gone} is left (C4)`,
              )
              open.set(split.id, position)
            }
          }),
        poll: () => process.effect(`${operator}.poll`, () => next<T>(process, input, open)),
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
  open: Map<string, number>,
): Polled<T, SimulatedSplit, number> {
  if (process.hits(process.rates.task)) throw new Error('the poll failed')
  const ids = [...open.keys()]
  const id = ids[Math.floor(process.chance() * ids.length)]
  if (id === undefined) return { kind: 'ended' }
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
