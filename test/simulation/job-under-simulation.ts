/** The job: one source, two sinks, keyed state, closing output; and what one uninterrupted run of it shows. */
import type { CheckpointPolicy } from '../../engine/checkpoint/trigger.ts'
import { value } from '../../engine/graph/descriptors.ts'
import { defineJob, type JobDefinition } from '../../engine/graph/define-job.ts'
import type { SimulatedProcess } from './process.ts'
import { simulatedSink, type Service, type Visible } from './simulated-sink.ts'
import { simulatedSource, type Inputs, type SourceRecord } from './simulated-source.ts'
import type { Truth } from './truth.ts'

const KEYS = 3
export const POLICY = {
  intervalMs: 8,
  minPauseMs: 0,
  timeoutMs: 60,
  toleratedFailures: 3,
  maxUncommittedEpochs: 3,
  retained: 2,
} satisfies CheckpointPolicy & { readonly retained: number }

export interface Outside {
  readonly truth: Truth
  readonly inputs: Inputs
  readonly plain: Service
  readonly counts: Service
}

export function simulatedJob(outside: Outside, process: SimulatedProcess): JobDefinition {
  const { truth, inputs } = outside
  return defineJob({
    id: truth.job,
    checkpoint: POLICY,
    restart: { kind: 'fixed-delay', attempts: Number.POSITIVE_INFINITY, delayMs: 5 },
    build(flow) {
      const records = flow.source('source', simulatedSource(inputs, process, truth))
      records.sink('plain', simulatedSink(outside.plain, process, truth))
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
        .sink('counts', simulatedSink(outside.counts, process, truth))
    },
  })
}

/** Compares everything that is visible; `isOver`: it must be all there is. */
export function compare({ truth, inputs, plain, counts }: Outside, isOver: boolean): void {
  const seen = new Map<string, number>()
  for (const { split, index } of plain.visible.map((one) => one.value as SourceRecord)) {
    const expected = seen.get(split) ?? 0
    truth.expect(index === expected, () => `plain shows ${split} ${index} where ${expected} is next (C2)`)
    seen.set(split, expected + 1)
  }
  const counted = new Map<string, number>()
  for (const text of counts.visible.map((one: Visible) => String(one.value))) {
    const [key = '', count = '1'] = text.split(' ')
    const expected = text === 'the end' ? 1 : (counted.get(key) ?? 0) + 1
    truth.expect(text === 'the end' || Number(count) === expected, () => `counts shows ${text}, not ${expected} (C4)`)
    counted.set(text === 'the end' ? text : key, text === 'the end' ? (counted.get(text) ?? 0) + 1 : expected)
  }
  for (const { checkpoint, operators } of truth.manifests()) {
    const read = sum(operators.flatMap((one) => one.splits ?? []).map(({ position }) => Number(position)))
    const entries = operators
      .filter(({ operator }) => operator === 'plain')
      .flatMap((one) => one.writerState?.entries ?? [])
    const written = sum(entries.map((entry) => Number(Buffer.from(entry, 'base64').toString())))
    truth.expect(read === written, () => `checkpoint ${checkpoint} holds ${read} records read, ${written} written (C4)`)
  }
  if (!isOver) return
  for (const [split, length] of inputs.lengths) {
    truth.expect(seen.get(split) === length, () => `plain shows ${seen.get(split)} of ${length} records of ${split}`)
    for (let key = 0; key < KEYS; key += 1) {
      const expected = Array.from({ length }, (_, index) => index % KEYS).filter((one) => one === key).length
      const mine = counted.get(`${split}${key}`)
      truth.expect(mine === expected, () => `counts shows ${mine} of ${expected} of key ${split}${key}`)
    }
  }
  truth.expect(counted.get('the end') === 1, () => `the closing output is there ${counted.get('the end') ?? 0} times`)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0)
}

function keyOf({ split, index }: SourceRecord): string {
  return `${split}${index % KEYS}`
}
