/**
 * Every kind of route between tasks, with records of more than JSON: two sources, union, rebalance, two keyed inputs, a broadcast, a side
 * output, a diamond. Output is lines `<what> <facts>`, the same at any parallelism and in any order of processes.
 */
import { broadcastMap, defineJob, sideOutput, value, type LineEncoder } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { generatorSource } from 'sluice/sources/generator'

interface Event {
  readonly from: 'a' | 'b'
  readonly index: number
  readonly when: Date
  readonly big: bigint
  readonly tags: ReadonlyMap<string, ReadonlySet<number>>
  readonly nothing: undefined
}

const KEYS = 13
const odd = sideOutput<string>('odd')
const line: LineEncoder<string> = { encode: (text: string) => text }

function events(from: 'a' | 'b', count: number, rate: number) {
  return generatorSource<Event>({
    seed: 1,
    count,
    ...(rate === 0 ? {} : { ratePerSecond: rate }),
    timestamp: ({ index }) => 1_700_000_000_000 + index,
    generate: (index) => ({
      from,
      index,
      when: new Date(index * 1_000),
      big: 2n ** 70n + BigInt(index),
      tags: new Map([['some', new Set([index, index + 1])]]),
      nothing: undefined,
    }),
  })
}

/** All that a record is, so that what got lost on the way is seen. */
function factsOf({ from, index, when, big, tags, nothing }: Event): string {
  const some = [...(tags.get('some') ?? [])].join('+')
  return `${from} ${index} ${when.toISOString()} ${big} ${some} ${typeof nothing}`
}

export default defineJob({
  id: 'routes-over-workers',
  parallelism: 3,
  checkpoint: { intervalMs: 30 },
  restart: { kind: 'fixed-delay', attempts: 20, delayMs: 5 },
  build(flow, settings) {
    const count = settings.number('count', { default: 4_000 })
    const rate = settings.number('rate', { default: 0 })
    const out = (path: string) => fileSink<string>({ path: `routes/${path}`, encode: line })
    const a = flow.source('a', events('a', count, rate))
    const b = flow.source('b', events('b', count / 2, rate))
    const spread = a
      .union(b)
      .rebalance()
      .map('spread', (event) => event, { parallelism: 4 })
    spread.map('plain', (event) => `plain ${factsOf(event)}`).sink('plain-out', out('plain'))
    // The same records once more, by two ways that meet again.
    const counted = spread
      .keyBy(({ index }) => index % KEYS)
      .connect(b.keyBy(({ index }) => index % KEYS))
      .process('joined', {
        state: { first: value(() => 0), second: value(() => 0) },
        onFirst(_event, { state, key, emit }) {
          state.first.set(state.first.get() + 1)
          emit(`first ${key} ${state.first.get()}`)
        },
        onSecond(event, { state, key, emit, emitTo }) {
          state.second.set(state.second.get() + 1)
          emit(`second ${key} ${state.second.get()}`)
          if (event.index % 2 === 1) emitTo(odd, `odd ${factsOf(event)}`)
        },
      })
    counted.union(counted.side(odd)).sink('joined-out', out('joined'), { parallelism: 2 })
    a.connect(b.broadcast())
      .process('ruled', {
        broadcast: { rules: broadcastMap<string, number>() },
        onRecord: (event, { emit }) => emit(`ruled ${factsOf(event)}`),
        onBroadcast: (event, { broadcast }) => broadcast.rules.set(event.from, event.index),
      })
      .sink('ruled-out', out('ruled'))
  },
})
