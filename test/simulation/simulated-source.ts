/**
 * A replayable source that forgets what is acknowledged: what is asked for again after that is a violation. Splits may appear while it is
 * read; it has ended when all have appeared and every one is with a reader.
 */
import { RetryableError, type Polled, type Source } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

interface Split {
  readonly id: string
}

export interface SourceRecord {
  readonly split: string
  readonly index: number
}

/** Each once so many checkpoints have completed. */
export type Appearing = Readonly<Record<string, { readonly length: number; readonly behind: number }>>

const DISCOVER_EVERY_MS = 5

export class Inputs {
  readonly lengths: ReadonlyMap<string, number>
  readonly #appearBehind: ReadonlyMap<string, number>
  /** Below this, records are gone. */
  readonly acknowledged = new Map<string, number>()

  constructor(lengths: Readonly<Record<string, number>>, appearing: Appearing = {}) {
    const later = Object.entries(appearing)
    this.lengths = new Map([...Object.entries(lengths), ...later.map(([id, { length }]) => [id, length] as const)])
    this.#appearBehind = new Map(later.map(([id, { behind }]) => [id, behind]))
  }

  get appear(): boolean {
    return this.#appearBehind.size > 0
  }

  after(checkpoints: number): readonly string[] {
    return [...this.lengths.keys()].filter((id) => (this.#appearBehind.get(id) ?? 0) <= checkpoints)
  }
}

export function simulatedSource(
  inputs: Inputs,
  process: SimulatedProcess,
  truth: Truth,
): Source<SourceRecord, Split, number> {
  const lengthOf = (id: string): number => inputs.lengths.get(id) ?? 0
  /** With a reader, by generation. */
  const taken = new Map<number, Set<string>>()
  return {
    kind: 'simulated',
    guarantee: 'exactly-once',
    validate: () => process.effect('source.validate', () => undefined),
    ...(inputs.appear ? { discoverEveryMs: DISCOVER_EVERY_MS } : {}),
    discover: () =>
      process.effect('source.discover', () => {
        if (inputs.appear && process.hits(process.rates.task)) throw new RetryableError('the discovery failed')
        return inputs.after(truth.completed).map((id) => ({ split: { id }, start: 0 }))
      }),
    async createReader({ generation }) {
      const open = new Map<string, number>()
      const mine = taken.get(generation) ?? new Set(endedIn(truth))
      taken.set(generation, mine)
      const next = (): Polled<SourceRecord, Split, number> => {
        if (process.hits(process.rates.task)) throw new Error('the poll failed')
        const ids = [...open.keys()]
        const id = ids[Math.floor(process.chance() * ids.length)]
        if (id === undefined) {
          const isOver = !inputs.appear || [...inputs.lengths.keys()].every((one) => mine.has(one))
          return isOver ? { kind: 'ended' } : { kind: 'idle', retryAfterMs: 3 }
        }
        if (process.chance() < 0.1) return { kind: 'idle', retryAfterMs: 3 }
        const at = open.get(id) ?? 0
        if (at >= lengthOf(id)) {
          open.delete(id)
          return { kind: 'split-ended', split: { id } }
        }
        const count = Math.min(lengthOf(id) - at, Math.floor(process.chance() * 4))
        open.set(id, at + count)
        const values = Array.from({ length: count }, (_, index) => ({ split: id, index: at + index }))
        return { kind: 'records', split: { id }, records: { values }, after: at + count }
      }
      const take = (splits: readonly { readonly split: Split; readonly position: number }[]): void => {
        for (const { split, position } of splits) {
          const gone = inputs.acknowledged.get(split.id) ?? 0
          truth.expect(
            position >= gone || process.isZombie,
            () => `${split.id} is asked for ${position}, only ${gone} is left (C4)`,
          )
          truth.expect(!mine.has(split.id) || process.isZombie, () => `${split.id} is given to two readers (C4)`)
          mine.add(split.id)
          open.set(split.id, position)
        }
      }
      return {
        assign: (splits) => process.effect('source.assign', () => take(splits)),
        addSplits: (splits) => process.effect('source.add', () => take(splits)),
        poll: () => process.effect('source.poll', next),
        acknowledge: (positions) =>
          process.effect('source.acknowledge', () => {
            for (const { split, position } of positions) acknowledge(inputs, truth, split.id, position)
          }),
        [Symbol.asyncDispose]: () => process.effect('source.close', () => undefined),
      }
    },
  }
}

/** They are given to no reader any more. */
function endedIn(truth: Truth): readonly string[] {
  const splits =
    truth
      .manifests()
      .at(-1)
      ?.operators.flatMap((operator) => operator.splits ?? []) ?? []
  return splits.filter(({ ended }) => ended).map(({ split }) => split.id)
}

/** Not above what any retained checkpoint would ask for. */
function acknowledge(inputs: Inputs, truth: Truth, id: string, position: number): void {
  for (const manifest of truth.manifests()) {
    const splits = manifest.operators.flatMap((operator) => operator.splits ?? [])
    const mine = splits.find(({ split }) => split.id === id)
    const needed = mine === undefined ? 0 : Number(mine.position)
    const { checkpoint } = manifest
    truth.expect(
      position <= needed,
      () => `${id} is acknowledged to ${position}, retained checkpoint ${checkpoint} needs ${needed}`,
    )
  }
  inputs.acknowledged.set(id, Math.max(inputs.acknowledged.get(id) ?? 0, position))
}
