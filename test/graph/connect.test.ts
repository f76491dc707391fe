/** Processes and connects: which state goes where, and what is refused. */
import { expect, test } from 'vitest'
import { broadcastMap, list, splitList, unionList, value, type Flow } from '../../engine/index.ts'
import { nodeOf, nodesOf, refusal, untyped } from './build.ts'
import { sink, source } from './connectors.ts'

const nothing = (): void => undefined

test('keep keyed state behind a keyBy, and operator state elsewhere', () => {
  const nodes = nodesOf((flow) => {
    const a = flow.source('a', source<number>())
    const keyed = a.keyBy((one) => one)
    const rules = a.broadcast()
    const limits = broadcastMap<string, number>()
    const both = { onFirst: nothing, onSecond: nothing }
    const one = { onRecord: nothing, onBroadcast: nothing }
    keyed.process('p1', { state: { n: value(() => 0) }, onRecord: nothing }).sink('s1', sink())
    a.process('p2', { state: { wait: splitList(), all: unionList() }, onRecord: nothing }).sink('s2', sink())
    keyed
      .connect(keyed)
      .process('c1', { state: { n: list() }, ...both })
      .sink('s3', sink())
    a.connect(a)
      .process('c2', { state: { wait: splitList() }, ...both })
      .sink('s4', sink())
    a.connect(rules)
      .process('c3', { broadcast: { limits }, ...one })
      .sink('s5', sink())
    keyed
      .connect(rules)
      .process('c4', { state: { n: list() }, broadcast: { limits }, ...one })
      .sink('s6', sink())
  })
  const kinds = (state: object): unknown => Object.entries(state).map(([name, { kind }]) => `${name}: ${kind}`)
  const shown = nodes.flatMap((one) =>
    one.kind === 'process' || one.kind === 'connect' ? [[one.id, kinds(one.state), kinds(one.operatorState)]] : [],
  )
  expect(shown).toEqual([
    ['p1', ['n: value'], []],
    ['p2', [], ['wait: split-list', 'all: union-list']],
    ['c1', ['n: list'], []],
    ['c2', [], ['wait: split-list']],
    ['c3', [], ['limits: broadcast-map']],
    ['c4', ['n: list'], ['limits: broadcast-map']],
  ])
})

test('call the functions as members of what was given', () => {
  const nodes = nodesOf((flow) => {
    const a = flow.source('a', source<number>())
    class Counting {
      seen: unknown[] = []
      onFirst(record: number): void {
        this.seen.push(record)
      }
      onSecond(record: number): void {
        this.seen.push(-record)
      }
      onEnd({ emit }: { readonly emit: (output: unknown) => void }): void {
        emit(this.seen)
      }
    }
    a.connect(a).process('c', new Counting()).sink('s', sink())
  })
  const { onFirst, onSecond, onEnd } = nodeOf(nodes, 'c', 'connect')
  onFirst(1, {})
  onSecond(2, {})
  const emitted: unknown[] = []
  onEnd?.({ emit: (output: unknown) => emitted.push(output) })
  expect(emitted).toEqual([[1, -2]])
})

const a = (flow: Flow) => flow.source('a', source<number>())
const both = { onFirst: nothing, onSecond: nothing }
const one = { onRecord: nothing, onBroadcast: nothing }
test.each<[string, (flow: Flow) => unknown, RegExp]>([
  [
    'keyed state without a key',
    (flow) => untyped(a(flow)).process('p', { state: { n: value(() => 0) }, onRecord: nothing }),
    /state "n" of process "p" is a value: without a keyBy, declare it with splitList\(\) or unionList\(\)/,
  ],
  [
    'operator state with a key',
    (flow) => untyped(a(flow).keyBy((n) => n)).process('p', { state: { n: splitList() }, onRecord: nothing }),
    /state "n" of process "p" is a split-list: declare it with value/,
  ],
  [
    'broadcast state in a process',
    (flow) => untyped(a(flow)).process('p', { state: { n: broadcastMap() }, onRecord: nothing }),
    /state "n" of process "p" is a broadcast-map/,
  ],
  [
    'a broadcast connect without broadcast state',
    (flow) => {
      const stream = a(flow)
      untyped(stream.connect(stream.broadcast())).process('c', one)
    },
    /connect "c" has no broadcast state: declare it as broadcast: \{ name: broadcastMap\(\) \}/,
  ],
  [
    'other state without a key beside a broadcast',
    (flow) => {
      const stream = a(flow)
      untyped(stream.connect(stream.broadcast())).process('c', {
        state: { n: splitList() },
        broadcast: { r: broadcastMap() },
        ...one,
      })
    },
    /connect "c" has state besides broadcast state/,
  ],
  [
    'the functions of another connect',
    (flow) => {
      const stream = a(flow)
      untyped(stream.connect(stream)).process('c', one)
    },
    /connect "c" is no connect: it lacks onFirst, onSecond/,
  ],
  [
    'a key on one side only',
    (flow) => {
      const stream = a(flow)
      untyped(stream.keyBy((n) => n)).connect(stream)
    },
    /the connect behind "a.key-1" has a key on one side only \(the keyBy behind "a"\); key source "a" too/,
  ],
  [
    'a key on the other side only',
    (flow) => {
      const stream = a(flow)
      untyped(stream).connect(stream.keyBy((n) => n))
    },
    /has a key on one side only \(the keyBy behind "a"\); key source "a" too/,
  ],
  [
    'a broadcast as the first input',
    (flow) => {
      const stream = a(flow)
      untyped(stream.broadcast()).connect(stream)
    },
    /cannot read the broadcast behind "a": connect it, as in other\.connect\(broadcast\)/,
  ],
  [
    'a map of a keyed stream',
    (flow) => untyped(a(flow).keyBy((n) => n)).map('m', (n: unknown) => n),
    /map "m" cannot read the keyBy behind "a": only \.process/,
  ],
  [
    'a sink of a broadcast stream',
    (flow) => untyped(a(flow).broadcast()).sink('s', sink()),
    /sink "s" cannot read the broadcast behind "a": connect it/,
  ],
  [
    'a process of a broadcast stream',
    (flow) => untyped(a(flow).broadcast()).process('p', { onRecord: nothing }),
    /process "p" cannot read the broadcast behind "a"/,
  ],
  [
    'a keyBy of a keyed stream',
    (flow) => untyped(a(flow).keyBy((n) => n)).keyBy((n: unknown) => n),
    /keyBy cannot read the keyBy behind "a"/,
  ],
  [
    'a broadcast that goes nowhere',
    (flow) => {
      const stream = a(flow)
      stream.broadcast()
      stream.sink('s', sink())
    },
    /nothing reads what the broadcast behind "a" gives; connect it/,
  ],
  [
    'a connect that goes nowhere',
    (flow) => {
      const stream = a(flow)
      stream.connect(stream).process('c', both)
      stream.sink('s', sink())
    },
    /nothing reads what connect "c" gives/,
  ],
  [
    'a connect with a taken id',
    (flow) => {
      const stream = a(flow)
      stream.connect(stream).process('a', both)
    },
    /connect "a" has the id of source "a"/,
  ],
])('%s is refused', (_, build, reason) => {
  expect(refusal((flow) => void build(flow))).toMatch(reason)
})
