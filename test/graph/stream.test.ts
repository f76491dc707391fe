/** What a job can declare of streams that branch and meet, and what it is told when it goes too far. */
import { describe, expect, test } from 'vitest'
import { broadcastMap, buildJob, sideOutput, type Flow } from '../../engine/index.ts'
import { nodeOf, nodesOf, refusal, untyped } from './build.ts'
import { sink, source } from './connectors.ts'

const late = sideOutput<string>('late')
const nothing = (): void => undefined

describe('several sources and sinks', () => {
  const build = (flow: Flow): void => {
    const a = flow.source('a', source<number>('idempotent'))
    const b = flow.source('b', source<number>())
    a.union(b).sink('both', sink())
    b.sink('only-b', sink('at-least-once'))
  }

  test('each pair that is connected is a path, with its weakest hop', () => {
    const { plan, graph } = buildJob({ id: 'job', build, guarantee: 'at-least-once' }, {})
    expect(plan.paths).toEqual([
      { source: 'a', sink: 'both', guarantee: 'idempotent', weakest: 'a' },
      { source: 'b', sink: 'both', guarantee: 'exactly-once', weakest: null },
      { source: 'b', sink: 'only-b', guarantee: 'at-least-once', weakest: 'only-b' },
    ])
    expect(graph.guarantee).toBe('at-least-once')
  })

  test('one path below the guarantee asked for is enough to refuse the job', () => {
    expect(refusal(build, { guarantee: 'idempotent' })).toMatch(/b -> only-b gives only at-least-once/)
    expect(refusal(build)).toMatch(/a -> both gives only idempotent: the weakest hop is "a"/)
  })
})

describe('nodes that only route', () => {
  test('have ids derived from what they read, counted by kind', () => {
    const nodes = nodesOf((flow) => {
      const a = flow.source('a', source<number>())
      const b = flow.source('b', source<number>())
      a.union(b).rebalance().sink('s1', sink())
      a.union(b.map('m', (one) => one)).sink('s2', sink())
      const rules = b.broadcast()
      a.rebalance()
        .connect(rules)
        .process('c1', { broadcast: { r: broadcastMap() }, onRecord: nothing, onBroadcast: nothing })
        .sink('s3', sink())
      const keyed = a.keyBy((one) => one)
      keyed.process('p', { onRecord: nothing }).sink('s4', sink())
      keyed
        .connect(a.keyBy((one) => one + 1))
        .process('c2', { onFirst: nothing, onSecond: nothing })
        .side(late)
        .sink('s5', sink())
    })
    const routes = nodes.filter(({ kind }) => ['keyBy', 'rebalance', 'broadcast', 'union', 'side'].includes(kind))
    expect(routes.map(({ id, kind }) => [id, kind])).toEqual([
      ['a.union-1', 'union'],
      ['a.union-1.rebalance-1', 'rebalance'],
      ['a.union-2', 'union'],
      ['b.broadcast-1', 'broadcast'],
      ['a.rebalance-1', 'rebalance'],
      ['a.key-1', 'keyBy'],
      ['a.key-2', 'keyBy'],
      ['c2.side-late', 'side'],
    ])
    expect(nodeOf(nodes, 'a.union-2', 'union').inputs).toEqual(['a', 'm'])
    expect(nodeOf(nodes, 'c1', 'connect').inputs).toEqual(['a.rebalance-1', 'b.broadcast-1'])
    expect(nodeOf(nodes, 'c2', 'connect').inputs).toEqual(['a.key-1', 'a.key-2'])
  })

  test('keep their ids unique: one that the job has taken is refused', () => {
    expect(
      refusal((flow) => {
        const a = flow.source('a', source())
        a.map('a.rebalance-1', (one) => one).sink('s', sink())
        a.rebalance()
      }),
    ).toMatch(/rebalance "a.rebalance-1" has the id of map "a.rebalance-1"/)
  })

  test('an edge of the plan says how records are dealt out, and from which side output', () => {
    const { plan } = buildJob(
      {
        id: 'job',
        build(flow) {
          const a = flow.source('a', source<number>())
          a.rebalance().sink('s1', sink())
          a.side(late).sink('s2', sink())
          a.connect(a.broadcast())
            .process('c', { broadcast: { r: broadcastMap() }, onRecord: nothing, onBroadcast: nothing })
            .sink('s3', sink())
        },
      },
      {},
    )
    expect(plan.edges).toEqual([
      { from: 'a', to: 'a.rebalance-1', by: 'forward' },
      { from: 'a.rebalance-1', to: 's1', by: 'rebalance' },
      { from: 'a', to: 'a.side-late', by: 'forward', side: 'late' },
      { from: 'a.side-late', to: 's2', by: 'forward' },
      { from: 'a', to: 'a.broadcast-1', by: 'forward' },
      { from: 'a', to: 'c', by: 'forward' },
      { from: 'a.broadcast-1', to: 'c', by: 'broadcast' },
      { from: 'c', to: 's3', by: 'forward' },
    ])
    expect(plan.operators.find(({ id }) => id === 'c')).toEqual({
      id: 'c',
      kind: 'connect',
      state: {},
      operatorState: { r: 'broadcast-map' },
    })
  })
})

describe('side outputs', () => {
  test('asked for twice are one node', () => {
    const nodes = nodesOf((flow) => {
      const a = flow.source('a', source<number>())
      a.side(late).sink('s1', sink())
      a.side(sideOutput<string>('late')).sink('s2', sink())
    })
    expect(nodes.map(({ id }) => id)).toEqual(['a', 'a.side-late', 's1', 's2'])
  })

  test('may be read by nobody, or be all that is read', () => {
    const nodes = nodesOf((flow) => {
      const a = flow.source('a', source<number>())
      a.side(sideOutput('lost'))
      a.process('p', { onRecord: nothing }).side(late).sink('s', sink())
    })
    expect(nodes.map(({ id }) => id)).toEqual(['a', 'a.side-lost', 'p', 'p.side-late', 's'])
  })

  test.each<[string, (flow: Flow) => void, RegExp]>([
    [
      'of a source that nobody reads, its side output asked for in vain',
      (flow) => {
        flow.source('a', source()).sink('s', sink())
        flow.source('b', source()).side(late)
      },
      /nothing reads what source "b" gives/,
    ],
    [
      'of a map',
      (flow) => untyped(flow.source('a', source()).map('m', (one) => one)).side(late),
      /map "m" has no side output "late": only a source, a process or a connect/,
    ],
    [
      'of a side output',
      (flow) => untyped(flow.source('a', source()).side(late)).side(late),
      /side output "late" of "a" has no side output/,
    ],
    [
      'without a name',
      (flow) => flow.source('a', source()).side({} as never),
      /a side output behind "a" is an object: make it with sideOutput/,
    ],
    [
      'with a name that is none',
      (flow) => flow.source('a', source()).side(sideOutput('a b')),
      /behind "a" is named "a b": make it/,
    ],
  ])('%s are refused', (_, build, reason) => {
    expect(refusal(build)).toMatch(reason)
  })
})

describe('unions', () => {
  test.each<[string, (flow: Flow) => void, RegExp]>([
    [
      'of one stream',
      (flow) => untyped(flow.source('a', source())).union(),
      /the union behind "a" needs at least one other/,
    ],
    [
      'with itself',
      (flow) => {
        const a = flow.source('a', source())
        a.union(a)
      },
      /the union behind "a" has source "a" twice: every record of it would come twice/,
    ],
    [
      'of one side output twice',
      (flow) => {
        const a = flow.source('a', source())
        a.union(a.side(late), a.side(late))
      },
      /has side output "late" of "a" twice/,
    ],
    [
      'with a keyed stream',
      (flow) => {
        const a = flow.source('a', source())
        untyped(a).union(a.keyBy((one) => one))
      },
      /the union behind "a" cannot read the keyBy behind "a"/,
    ],
    [
      'with a broadcast stream',
      (flow) => {
        const a = flow.source('a', source())
        untyped(a).union(a.broadcast())
      },
      /the union behind "a" cannot read the broadcast behind "a": connect it/,
    ],
    [
      'with no stream',
      (flow) => untyped(flow.source('a', source())).union(5),
      /an input of the union behind "a" is a number, not a stream/,
    ],
    [
      'that goes nowhere',
      (flow) => {
        const a = flow.source('a', source())
        a.union(a.map('m', (one) => one))
        a.sink('s', sink())
      },
      /nothing reads what the union of "a", "m" gives/,
    ],
  ])('%s are refused', (_, build, reason) => {
    expect(refusal(build)).toMatch(reason)
  })

  test('a stream of another build is refused', () => {
    let other: ReturnType<Flow['source']> | undefined
    nodesOf((flow) => {
      other = flow.source('a', source())
      other.sink('s', sink())
    })
    const use = (way: 'union' | 'connect') => refusal((flow) => void untyped(flow.source('b', source()))[way](other))
    expect(use('union')).toMatch(/an input of the union behind "b" is no stream of this flow/)
    expect(use('connect')).toMatch(/the other input of the connect behind "b" is no stream of this flow/)
  })
})
