/** Random small jobs, declared with the same calls that users have. What a step reads is drawn from what is there. */
import fc from 'fast-check'
import { broadcastMap, sideOutput, type Flow, type OperatorStream, type Stream } from '../../engine/index.ts'
import { sink, source } from './connectors.ts'

const KINDS = [
  'source',
  'map',
  'filter',
  'flatMap',
  'process',
  'keyed',
  'side',
  'rebalance',
  'union',
  'connect',
  'keyed-connect',
  'broadcast-connect',
] as const

export interface Step {
  readonly kind: (typeof KINDS)[number]
  /** Which streams it reads, modulo as many as there are. */
  readonly first: number
  readonly second: number
  readonly parallelism: number | undefined
}

export const jobRecipe: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(...KINDS),
    first: fc.nat({ max: 50 }),
    second: fc.nat({ max: 50 }),
    parallelism: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 3 }),
  }),
  { maxLength: 14 },
)

const nothing = (): void => undefined
const both = { onFirst: nothing, onSecond: nothing }
const one = { onRecord: nothing, onBroadcast: nothing, broadcast: { rules: broadcastMap() } }
const key = (): number => 1

/** What nobody reads gets a sink. */
export function build(flow: Flow, recipe: readonly Step[]): void {
  const first = flow.source('source-0', source<unknown>())
  const streams: Stream<unknown>[] = [first]
  const operators: OperatorStream<unknown>[] = [first]
  for (const [index, step] of recipe.entries()) {
    const made = declare(flow, step, { streams, operators, id: `${step.kind}-${index + 1}` })
    streams.push(made)
    if (['source', 'process', 'keyed', 'connect', 'keyed-connect', 'broadcast-connect'].includes(step.kind)) {
      operators.push(made as OperatorStream<unknown>)
    }
  }
  for (const [index, stream] of streams.entries()) stream.sink(`sink-${index}`, sink())
}

interface Place {
  readonly streams: readonly Stream<unknown>[]
  readonly operators: readonly OperatorStream<unknown>[]
  readonly id: string
}

function declare(flow: Flow, step: Step, { streams, operators, id }: Place): Stream<unknown> {
  const first = pick(streams, step.first)
  const second = pick(streams, step.second)
  const options = step.parallelism === undefined ? {} : { parallelism: step.parallelism }
  switch (step.kind) {
    case 'source':
      return flow.source(id, source(), options)
    case 'map':
      return first.map(id, (value) => value, options)
    case 'filter':
      return first.filter(id, () => true, options)
    case 'flatMap':
      return first.flatMap(id, () => [], options)
    case 'process':
      return first.process(id, { onRecord: nothing }, options)
    case 'keyed':
      return first.keyBy(key).process(id, { onRecord: nothing }, options)
    case 'side':
      return pick(operators, step.first).side(sideOutput(`side-${step.second % 2}`))
    case 'rebalance':
      return first.rebalance()
    case 'union':
      return first.union(first === second ? second.rebalance() : second)
    case 'connect':
      return first.connect(second).process(id, both, options)
    case 'keyed-connect':
      return first.keyBy(key).connect(second.keyBy(key)).process(id, both, options)
    case 'broadcast-connect':
      return first.connect(second.broadcast()).process(id, one, options)
  }
}

function pick<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T
}
