/** A replayable source of two splits that forgets what is acknowledged: what is asked for again after that is a violation. */
import type { Polled, Source } from '../../engine/api/index.ts'
import type { SimulatedProcess } from './process.ts'
import type { Truth } from './truth.ts'

interface Split {
  readonly id: string
}

export interface SourceRecord {
  readonly split: string
  readonly index: number
}

export class Inputs {
  readonly lengths: ReadonlyMap<string, number>
  /** Below this, records are gone. */
  readonly acknowledged = new Map<string, number>()

  constructor(lengths: Readonly<Record<string, number>>) {
    this.lengths = new Map(Object.entries(lengths))
  }
}

export function simulatedSource(
  inputs: Inputs,
  process: SimulatedProcess,
  truth: Truth,
): Source<SourceRecord, Split, number> {
  const lengthOf = (id: string): number => inputs.lengths.get(id) ?? 0
  return {
    kind: 'simulated',
    guarantee: 'exactly-once',
    validate: () => process.effect('source.validate', () => undefined),
    discover: () =>
      process.effect('source.discover', () => [...inputs.lengths.keys()].map((id) => ({ split: { id }, start: 0 }))),
    async createReader() {
      const open = new Map<string, number>()
      const next = (): Polled<SourceRecord, Split, number> => {
        if (process.hits(process.rates.task)) throw new Error('the poll failed')
        const ids = [...open.keys()]
        const id = ids[Math.floor(process.chance() * ids.length)]
        if (id === undefined) return { kind: 'ended' }
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
      return {
        assign: (splits) =>
          process.effect('source.assign', () => {
            for (const { split, position } of splits) {
              const gone = inputs.acknowledged.get(split.id) ?? 0
              truth.expect(
                position >= gone || process.isZombie,
                () => `${split.id} is asked for ${position}, only ${gone} is left (C4)`,
              )
              open.set(split.id, position)
            }
          }),
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
