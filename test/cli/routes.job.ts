/** A graph with every kind of route, to be planned only. */
import { broadcastMap, defineJob, sideOutput, splitList, type } from 'sluice'
import { discardSink } from 'sluice/sinks/discard'
import { generatorSource } from 'sluice/sources/generator'

const refused = sideOutput<number>('refused')
const numbers = () => generatorSource({ seed: 1, count: 10, generate: (index) => index })

export default defineJob({
  id: 'routes',
  parallelism: 2,
  build(flow) {
    const left = flow.source('left', numbers())
    const right = flow.source('right', numbers(), { parallelism: 1 })
    const rules = flow.source('rules', numbers())
    const judged = left
      .union(right)
      .connect(rules.broadcast())
      .process('judge', {
        broadcast: { limits: broadcastMap<string, number>() },
        emits: type<number>(),
        onRecord(number, { broadcast, emit, emitTo }) {
          if (number <= (broadcast.limits.get('all') ?? Infinity)) emit(number)
          else emitTo(refused, number)
        },
        onBroadcast: (limit, { broadcast }) => broadcast.limits.set('all', limit),
      })
    const bad = judged.side(refused)
    judged
      .rebalance()
      .process(
        'spread',
        { state: { seen: splitList<number>() }, onRecord: (number, { state }) => state.seen.add(number) },
        { parallelism: 4 },
      )
      .sink('good', discardSink())
    bad.sink('bad', discardSink())
  },
})
