/** From a definition to graph and plan: what is built, what is refused and with which words. */
import { expect, test } from 'vitest'
import { buildJob, TerminalError, value, list, map, type Flow, type JobDefinition } from '../../engine/index.ts'
import { sink, source } from './connectors.ts'

interface Order {
  readonly customer: string
  readonly cents: number
}

function job(build: JobDefinition['build'], rest: Partial<JobDefinition> = {}): JobDefinition {
  return { id: 'orders', build, ...rest }
}

function totals(flow: Flow): void {
  const orders = flow.source('orders', source<Order>())
  orders
    .filter('paid', (order) => order.cents > 0)
    .keyBy((order) => order.customer)
    .process('total', {
      state: { cents: value(() => 0), seen: list<string>(), byDay: map<string, number>() },
      onRecord: (order, { emit }) => emit(order.cents),
    })
    .sink('totals', sink())
  orders.map('copy', (order) => ({ ...order })).sink('copies', sink())
}

function refusal(definition: JobDefinition, given: Readonly<Record<string, string>> = {}): string {
  try {
    buildJob(definition, given)
  } catch (error) {
    if (error instanceof TerminalError) return error.message
    throw error
  }
  throw new Error('it was not refused')
}

test('a plan holds operators, edges, state, key groups and the guarantee of each path', () => {
  const { plan, graph } = buildJob(job(totals), {})
  expect(plan).toEqual({
    format: 1,
    job: 'orders',
    guarantee: 'exactly-once',
    keyGroups: 128,
    operators: [
      { id: 'orders', kind: 'source', connector: 'numbers', guarantee: 'exactly-once' },
      { id: 'paid', kind: 'filter' },
      { id: 'paid.key-1', kind: 'keyBy' },
      { id: 'total', kind: 'process', state: { cents: 'value', seen: 'list', byDay: 'map' } },
      { id: 'totals', kind: 'sink', connector: 'nowhere', guarantee: 'exactly-once' },
      { id: 'copy', kind: 'map' },
      { id: 'copies', kind: 'sink', connector: 'nowhere', guarantee: 'exactly-once' },
    ],
    edges: [
      { from: 'orders', to: 'paid', by: 'forward' },
      { from: 'paid', to: 'paid.key-1', by: 'forward' },
      { from: 'paid.key-1', to: 'total', by: 'key' },
      { from: 'total', to: 'totals', by: 'forward' },
      { from: 'orders', to: 'copy', by: 'forward' },
      { from: 'copy', to: 'copies', by: 'forward' },
    ],
    paths: [
      { source: 'orders', sink: 'totals', guarantee: 'exactly-once', weakest: null },
      { source: 'orders', sink: 'copies', guarantee: 'exactly-once', weakest: null },
    ],
  })
  expect(graph.nodes.map((node) => node.id)).toEqual(plan.operators.map((one) => one.id))
  expect(graph.guarantee).toBe('exactly-once')
})

test('the plan hash is fixed for a plan, whatever the order of state names, and differs for another', () => {
  const withState = (names: readonly string[]): JobDefinition =>
    job((flow) =>
      flow
        .source('s', source<number>())
        .keyBy((number) => number)
        .process('p', { state: Object.fromEntries(names.map((name) => [name, list()])), onRecord: () => undefined })
        .sink('t', sink()),
    )
  const hash = buildJob(withState(['a', 'b']), {}).planHash
  expect(hash).toMatch(/^[0-9a-f]{32}$/)
  expect(buildJob(withState(['b', 'a']), {}).planHash).toBe(hash)
  expect(buildJob(withState(['a', 'c']), {}).planHash).not.toBe(hash)
  // A hash that changes between releases would make every job look edited.
  expect(buildJob(job(totals), {}).planHash).toBe('cc89b75ea174c8f72d03607ad6b700a1')
})

test('a path below the guarantee asked for is refused, naming its weakest hop', () => {
  const weakSink = job((flow) => flow.source('in', source()).sink('out', sink('at-least-once')))
  expect(refusal(weakSink)).toMatch(/in -> out gives only at-least-once: the weakest hop is "out"/)
  const weakSource = job((flow) => flow.source('in', source('at-least-once')).sink('out', sink('idempotent')))
  expect(refusal(weakSource)).toMatch(/the weakest hop is "in"/)
  expect(refusal({ ...weakSink, guarantee: 'idempotent' })).toMatch(/asks for idempotent/)
  expect(buildJob({ ...weakSink, guarantee: 'at-least-once' }, {}).graph.guarantee).toBe('at-least-once')
  const mixed = job(
    (flow) => {
      const stream = flow.source('in', source())
      stream.sink('good', sink())
      stream.sink('fair', sink('idempotent'))
    },
    { guarantee: 'idempotent' },
  )
  expect(buildJob(mixed, {}).plan.paths.map((path) => path.guarantee)).toEqual(['exactly-once', 'idempotent'])
})

test('a build that differs from one run to the next is refused', () => {
  let runs = 0
  const another = job((flow) => flow.source(`in-${(runs += 1)}`, source()).sink('out', sink()))
  expect(refusal(another)).toMatch(/not pure: two runs gave different plans/)
  const elsewhere = job((flow) => {
    const place = `out-${(runs += 1)}`
    flow.source('in', source()).sink(
      'out',
      sink('exactly-once', () => place),
    )
  })
  expect(refusal(elsewhere)).toMatch(/sink "out" writes to another place each time/)
  expect(refusal(job(async (flow) => flow.source('in', source()).sink('out', sink())))).toMatch(/is async/)
})

test('a build that throws is refused with what it said and where', () => {
  const cause = new RangeError('no such day')
  const thrower = job(() => {
    throw cause
  })
  expect(() => buildJob(thrower, {})).toThrow(
    expect.objectContaining({ name: 'TerminalError', message: 'build of job "orders" failed: no such day', cause }),
  )
})

test('an operator added after build has returned is refused', () => {
  let kept: Flow | undefined
  buildJob(
    job((flow) => {
      kept = flow
      flow.source('in', source()).sink('out', sink())
    }),
    {},
  )
  expect(() => kept?.source('late', source())).toThrow(/operator "late" is added after build has returned/)
  let stream: ReturnType<Flow['source']> | undefined
  buildJob(
    job((flow) => {
      stream = flow.source('in', source())
      stream.sink('out', sink())
    }),
    {},
  )
  expect(() => stream?.map('late', (one) => one)).toThrow(/"late" is added after build has returned/)
})

test.each<[string, JobDefinition['build'], RegExp]>([
  ['no source', () => undefined, /has no source/],
  ['no sink', (flow) => void flow.source('in', source()), /has no sink/],
  [
    'a second source that goes nowhere',
    (flow) => {
      flow.source('in', source()).sink('out', sink())
      flow.source('more', source())
    },
    /nothing reads what source "more" gives/,
  ],
  [
    'one id twice',
    (flow) =>
      flow
        .source('in', source())
        .map('x', (one) => one)
        .sink('x', sink()),
    /sink "x" has the id of map "x"/,
  ],
  [
    'an id that is no name',
    (flow) => flow.source('a b', source()).sink('out', sink()),
    /operator id "a b" is not valid/,
  ],
  ['an id that is missing', (flow) => flow.source('', source()).sink('out', sink()), /operator id "" is not valid/],
  [
    'a stream that goes nowhere',
    (flow) => {
      const stream = flow.source('in', source())
      stream.sink('out', sink())
      stream.map('lost', (one) => one)
    },
    /nothing reads what map "lost" gives/,
  ],
  [
    'a keyed stream that goes nowhere',
    (flow) => {
      const stream = flow.source('in', source())
      stream.sink('out', sink())
      stream.keyBy(() => 1)
    },
    /nothing reads what the keyBy behind "in" gives; add \.process/,
  ],
])('%s is refused', (_, build, reason) => {
  expect(refusal(job(build))).toMatch(reason)
})

test('what plain JavaScript can get wrong is refused with the id of the operator', () => {
  const given = (wrong: unknown): never => wrong as never
  const through = (use: (flow: Flow) => void): string => refusal(job(use))
  expect(through((flow) => flow.source('in', given(source)))).toMatch(
    /source "in" is a function, not a source: call it/,
  )
  expect(through((flow) => flow.source('in', source()).sink('out', given({})))).toMatch(
    /sink "out" is no sink: it lacks validate/,
  )
  expect(through((flow) => flow.source('in', source()).map('m', given(1)))).toMatch(
    /map "m" needs a function, not a number/,
  )
  expect(through((flow) => flow.source('in', source()).keyBy(given('x')))).toMatch(/keyBy behind "in" needs a function/)
  const process = (wrong: unknown): string =>
    through((flow) =>
      flow
        .source('in', source())
        .keyBy(() => 1)
        .process('p', given(wrong)),
    )
  expect(process({ state: {} })).toMatch(/process "p" is no process: it lacks onRecord/)
  expect(process({ state: { cents: 0 }, onRecord: () => undefined })).toMatch(
    /state "cents" of process "p" is a number: declare it/,
  )
  expect(process({ state: { 'a b': list() }, onRecord: () => undefined })).toMatch(/state "a b" of process "p"/)
})

test.each<[string, Partial<JobDefinition>, RegExp]>([
  ['an id that is no name', { id: '../orders' }, /job id "\.\.\/orders" is not valid/],
  [
    'an interval of nothing',
    { checkpoint: { intervalMs: 0 } },
    /checkpoint\.intervalMs is 0; it must be a number, at least 1/,
  ],
  ['an interval that is no number', { checkpoint: { intervalMs: Number.NaN } }, /checkpoint\.intervalMs is NaN/],
  ['half a checkpoint', { checkpoint: { retained: 1.5 } }, /retained is 1\.5; it must be a whole number/],
  [
    'a misspelt option',
    { checkpoint: { interval: 5 } as object },
    /checkpoint\.interval is unknown; known are intervalMs/,
  ],
  ['an unknown strategy', { restart: { kind: 'often' } as never }, /restart kind "often" is not one of none/],
  ['half a strategy', { restart: { kind: 'fixed-delay', attempts: 1 } as never }, /restart fixed-delay lacks delayMs/],
  [
    'a misspelt member',
    { checkpoints: { intervalMs: 5 } } as object,
    /checkpoints is unknown; known are id, checkpoint,/,
  ],
  [
    'a checkpoint policy of null',
    { checkpoint: null as never },
    /checkpoint is null; it must be an object, or left out/,
  ],
  ['a restart strategy of null', { restart: null as never }, /restart is null; it must be an object, or left out/],
  ['an unknown guarantee', { guarantee: 'maybe' as never }, /guarantee "maybe" is not one of/],
])('%s is refused', (_, rest, reason) => {
  expect(refusal(job(totals, rest))).toMatch(reason)
})

test('every documented option is accepted', () => {
  const checkpoint = {
    intervalMs: 5,
    minPauseMs: 0,
    timeoutMs: 1,
    retained: 1,
    toleratedFailures: 0,
    maxUncommittedEpochs: 1,
  }
  const restart = { kind: 'fixed-delay', attempts: Number.POSITIVE_INFINITY, delayMs: 0 } as const
  expect(buildJob(job(totals, { checkpoint, restart }), {}).plan.job).toBe('orders')
})
