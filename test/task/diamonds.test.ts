/**
 * Streams that part and meet again, over channels that hold next to nothing, with barriers all the time. A reader blocks one branch until
 * the other one's barrier has come: the writer of both must never wait for it (no deadlock), nothing is lost, nothing comes twice.
 */
import { expect, test } from 'vitest'
import { splitList, value } from '../../engine/graph/descriptors.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { graphOf, TestAttempt, valuesIn } from './attempt.ts'
import { MemorySink, MemorySource } from './in-memory.ts'
import { seeded } from '../simulation/virtual-time.ts'
import { turns } from './lives.ts'

const RECORDS = 6_000
/** A record goes through four branches: as it is, threefold, one in a hundred, and dealt out. */
const PER_RECORD = 1 + 3 + 0.01 + 1

interface Diamond {
  readonly source: MemorySource
  readonly sink: MemorySink
  readonly graph: JobGraph
}

function diamond(random: () => number): Diamond {
  const split = (from: number): readonly number[] => Array.from({ length: RECORDS / 3 }, (_, index) => from + index)
  const source = new MemorySource({ x: split(0), y: split(2_000), z: split(4_000) })
  // Many more than the channels hold.
  source.batchSize = () => 1 + Math.floor(random() * 40)
  const sink = new MemorySink()
  sink.onWrite = () => (random() < 0.1 ? turns(3) : undefined)
  const graph = graphOf((flow) => {
    const numbers = flow.source('numbers', source).map('same', (one) => Number(one))
    const threefold = numbers.rebalance().flatMap('threefold', (one) => [one, one, one])
    const rare = numbers.filter('rare', (one) => one % 100 === 0, { parallelism: 1 })
    const dealt = numbers
      .rebalance()
      .process(
        'dealt',
        { state: { seen: splitList<number>() }, onRecord: (one, { emit }) => emit(one) },
        { parallelism: 2 },
      )
      .map('as-number', (one) => Number(one))
    numbers
      .union(threefold, rare)
      .keyBy((one) => one % 17)
      .connect(dealt.keyBy((one) => one % 17))
      .process(
        'met',
        {
          state: { count: value(() => 0) },
          onFirst: (one, { state, emit }) => {
            state.count.set(state.count.get() + 1)
            emit(one)
          },
          onSecond: (one, { state, emit }) => {
            state.count.set(state.count.get() + 1)
            emit(one)
          },
        },
        { parallelism: 4 },
      )
      .sink('out', sink)
  })
  return { source, sink, graph }
}

test.each([1, 2, 7, 64])(
  'diamonds over channels of %i records: no barrier waits for ever, and each record is in one epoch (T2, C8)',
  async (inputRecords) => {
    let checkpoints = 0
    let aligned = 0
    for (const parallelism of [1, 2, 3, 5]) {
      const random = seeded(parallelism * 100 + inputRecords)
      const { sink, graph } = diamond(random)
      await using attempt = await TestAttempt.start(graph, { parallelism, limits: { inputRecords } })
      await attempt.complete(1, null)
      let checkpoint = 1
      const prepared: unknown[] = []
      while (!attempt.said.some((one) => one.kind === 'input-ended')) {
        await turns(Math.floor(random() * 8))
        checkpoint += 1
        attempt.trigger(checkpoint, checkpoint - 1)
        const { operators, alignedMs } = await attempt.heard('acknowledged', checkpoint)
        if (alignedMs > 0) aligned += 1
        prepared.push(...operators.flatMap((one) => valuesIn([one], 'out')))
        attempt.task.handle({ kind: 'completed', checkpoint })
      }
      const { operators } = await final(attempt, checkpoint + 1)
      prepared.push(...operators.flatMap((one) => valuesIn([one], 'out')))
      expect(prepared.length).toBe(RECORDS * PER_RECORD)
      expect(sink.written.length).toBe(RECORDS * PER_RECORD)
      const counts = new Map<unknown, number>()
      for (const one of prepared) counts.set(one, (counts.get(one) ?? 0) + 1)
      for (const [one, count] of counts) expect(count).toBe(Number(one) % 100 === 0 ? 6 : 5)
      checkpoints += checkpoint
    }
    console.log(`over channels of ${inputRecords}: ${checkpoints} checkpoints, ${aligned} had to be aligned`)
    expect(checkpoints).toBeGreaterThan(20)
    expect(aligned).toBeGreaterThan(15)
  },
)

async function final(attempt: TestAttempt, checkpoint: number) {
  attempt.trigger(checkpoint, checkpoint - 1)
  return attempt.heard('acknowledged', checkpoint)
}
