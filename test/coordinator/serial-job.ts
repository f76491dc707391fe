/** A job of one chain under simulation: one source, two sinks, keyed state, closing output; and what one uninterrupted run of it shows. */
import { value } from '../../engine/graph/descriptors.ts'
import { defineJob, type JobDefinition } from '../../engine/graph/define-job.ts'
import type { Service } from '../simulation/service.ts'
import type { Truth } from '../simulation/truth.ts'
import { POLICY, type Connectors } from '../simulation/world.ts'

const KEYS = 3

interface SourceRecord {
  readonly split: string
  readonly index: number
}

export interface Outside {
  readonly truth: Truth
  /** Of each split. */
  readonly lengths: readonly number[]
  readonly plain: Service
  readonly counts: Service
}

export function serialJob({ truth, lengths }: Outside, { source, sink }: Connectors): JobDefinition {
  return defineJob({
    id: truth.job,
    checkpoint: POLICY,
    restart: { kind: 'fixed-delay', attempts: Number.POSITIVE_INFINITY, delayMs: 5 },
    build(flow) {
      const records = flow.source('source', source(...lengths.map(recordsOf)))
      records.sink('plain', sink())
      records
        .keyBy((record) => keyOf(record))
        .process('count', {
          state: { count: value(() => 0) },
          onRecord(_record, { state, emit, key }) {
            const count = state.count.get() + 1
            state.count.set(count)
            emit(`${key} ${count}`)
          },
          onEnd: ({ emit }) => emit('the end'),
        })
        .sink('counts', sink())
    },
  })
}

/** Compares everything that is visible; `isOver`: it must be all there is. */
export function compare({ truth, lengths, plain, counts }: Outside, isOver: boolean): void {
  const seen = new Map<string, number>()
  for (const { split, index } of plain.visible as readonly SourceRecord[]) {
    const expected = seen.get(split) ?? 0
    truth.expect(index === expected, () => `plain shows ${split} ${index} where ${expected} is next (C2)`)
    seen.set(split, expected + 1)
  }
  const counted = new Map<string, number>()
  for (const text of counts.visible.map(String)) {
    const [key = '', count = '1'] = text.split(' ')
    const expected = text === 'the end' ? 1 : (counted.get(key) ?? 0) + 1
    truth.expect(text === 'the end' || Number(count) === expected, () => `counts shows ${text}, not ${expected} (C4)`)
    counted.set(text === 'the end' ? text : key, text === 'the end' ? (counted.get(text) ?? 0) + 1 : expected)
  }
  if (!isOver) return
  for (const [number, length] of lengths.entries()) {
    const split = splitOf(number)
    truth.expect(seen.get(split) === length, () => `plain shows ${seen.get(split)} of ${length} records of ${split}`)
    for (let key = 0; key < KEYS; key += 1) {
      const expected = Array.from({ length }, (_, index) => index % KEYS).filter((one) => one === key).length
      const mine = counted.get(`${split}${key}`)
      truth.expect(mine === expected, () => `counts shows ${mine} of ${expected} of key ${split}${key}`)
    }
  }
  truth.expect(counted.get('the end') === 1, () => `the closing output is there ${counted.get('the end') ?? 0} times`)
}

function recordsOf(length: number, number: number): readonly SourceRecord[] {
  return Array.from({ length }, (_, index) => ({ split: splitOf(number), index }))
}

function splitOf(number: number): string {
  return 'abc'.charAt(number)
}

function keyOf({ split, index }: SourceRecord): string {
  return `${split}${index % KEYS}`
}
