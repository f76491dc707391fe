/** What the compiler knows of a stream: types travel from the source to the sink, and state is read-only where it is handed out. */
import { expectTypeOf, test } from 'vitest'
import {
  broadcastMap,
  buildJob,
  list,
  map,
  sideOutput,
  splitList,
  type,
  unionList,
  value,
  type DeepReadonly,
  type Flow,
  type ListState,
  type MapState,
  type OperatorStream,
  type ReadonlyMapState,
  type Stream,
  type ValueState,
} from '../../engine/index.ts'
import { sink, source } from './connectors.ts'

interface Basket {
  items: { sku: string; tags: string[] }[]
  at: Date
}

function build(flow: Flow): void {
  const orders = flow.source('orders', source<{ readonly customer: string; readonly cents: number | null }>())
  const paid = orders.filter('paid', (order): order is { customer: string; cents: number } => order.cents !== null)
  const totals = paid
    .flatMap('twice', (order) => [order, order])
    .keyBy((order) => [order.customer, 1])
    .process('total', {
      state: {
        cents: value(() => 0),
        basket: value<Basket>(() => ({ items: [], at: new Date(0) })),
        seen: list<string>(),
        days: map<string, number[]>(),
      },
      emits: type<{ readonly total: number }>(),
      onRecord(order, { state, emit, key, timestamp }) {
        expectTypeOf(order.cents).toEqualTypeOf<number>()
        expectTypeOf(key).toEqualTypeOf<readonly [string, 1]>()
        expectTypeOf(timestamp).toEqualTypeOf<number>()
        expectTypeOf(state.cents.get()).toEqualTypeOf<number>()
        expectTypeOf(state.seen.get()).toEqualTypeOf<readonly string[]>()
        expectTypeOf(state.days.get('x')).toEqualTypeOf<readonly number[] | undefined>()
        // @ts-expect-error what state hands out must not be changed in place
        const change = (): unknown => state.basket.get().items.push({ sku: 'x', tags: [] })
        state.basket.set({ ...state.basket.get(), at: new Date(1) })
        // @ts-expect-error another type is not emitted
        const wrong = (): unknown => emit({ total: 'much' })
        void [change, wrong]
        emit({ total: order.cents })
      },
    })
  totals.map('cents', (one) => one.total).sink('totals', sink<number>())
  // @ts-expect-error a sink of texts does not take numbers
  totals.map('number', (one) => one.total).sink('texts', sink<string>())
  paid
    .keyBy((order) => order.customer)
    .process('plain', { onRecord: (order, { emit }) => emit(order.cents) })
    .sink('plain-out', sink<unknown>())
}

test('types travel from source to sink', () => {
  const { plan } = buildJob({ id: 'typed', build }, {})
  expectTypeOf(plan.job).toEqualTypeOf<string>()
  expectTypeOf<DeepReadonly<Map<string, string[]>>>().toEqualTypeOf<ReadonlyMap<string, readonly string[]>>()
  expectTypeOf<DeepReadonly<unknown>>().toEqualTypeOf<unknown>()
})

interface Click {
  readonly kind: 'click'
  readonly user: string
}
interface View {
  readonly kind: 'view'
  readonly user: string
  readonly page: number
}
interface Rule {
  readonly name: string
  readonly limit: number
}

const bad = sideOutput<Click>('bad')
const nothing = (): void => undefined

test('streams of several types meet as their union', () => {
  void ((flow: Flow) => {
    const clicks = flow.source('clicks', source<Click>())
    const views = flow.source('views', source<View>())
    const mapped = views.map('page', (view) => view.page)
    expectTypeOf(clicks).toEqualTypeOf<OperatorStream<Click>>()
    expectTypeOf(clicks.union(views)).toEqualTypeOf<Stream<Click | View>>()
    expectTypeOf(clicks.union(views, mapped)).toEqualTypeOf<Stream<Click | View | number>>()
    expectTypeOf(clicks.union(clicks.rebalance())).toEqualTypeOf<Stream<Click>>()
    // @ts-expect-error at least one other
    clicks.union()
    // @ts-expect-error a keyed stream is for process and connect only
    clicks.union(views.keyBy((view) => view.user))
    // @ts-expect-error a broadcast stream is to be connected to
    clicks.union(views.broadcast())
    // @ts-expect-error the same
    views.broadcast().map('x', nothing)
    // @ts-expect-error the same
    views.keyBy((view) => view.user).map('x', nothing)
  })
})

test('side outputs have their own type, and only operators that can give to one have them', () => {
  void ((flow: Flow) => {
    const clicks = flow.source('clicks', source<Click>())
    expectTypeOf(clicks.side(sideOutput<number>('skipped'))).toEqualTypeOf<Stream<number>>()
    // @ts-expect-error a map has none
    clicks.map('map', (click) => click).side(bad)
    const judged = clicks.process('judge', {
      emits: type<string>(),
      onRecord(click, { emit, emitTo }) {
        expectTypeOf(emit).toEqualTypeOf<(output: string) => void>()
        emitTo(bad, click)
        // @ts-expect-error of another type
        const wrong = (): unknown => emitTo(bad, { user: 'x' })
        void wrong
      },
      onEnd({ emit, emitTo }) {
        emitTo(bad, { kind: 'click', user: 'last' })
        emit('end')
      },
    })
    expectTypeOf(judged).toEqualTypeOf<OperatorStream<string>>()
    expectTypeOf(judged.side(bad)).toEqualTypeOf<Stream<Click>>()
  })
})

test('state without a key is operator state, and there is no key', () => {
  void ((flow: Flow) => {
    const waiting = flow.source('clicks', source<Click>()).process('wait', {
      state: { waiting: splitList<Click>(), all: unionList<number>() },
      onRecord(click, context) {
        expectTypeOf(context.state.waiting).toEqualTypeOf<ListState<Click>>()
        expectTypeOf(context.state.all).toEqualTypeOf<ListState<number>>()
        // @ts-expect-error there is none
        void context.key
        context.state.waiting.add(click)
      },
    })
    expectTypeOf(waiting).toEqualTypeOf<OperatorStream<unknown>>()
    // @ts-expect-error keyed state needs a key
    flow.source('more', source<Click>()).process('x', { state: { n: value(() => 0) }, onRecord: nothing })
    flow
      .source('others', source<Click>())
      .keyBy((click) => click.user)
      // @ts-expect-error operator state has none
      .process('y', { state: { n: splitList<number>() }, onRecord: nothing })
  })
})

test('two keyed streams that are connected have the same type of key, and share state', () => {
  void ((flow: Flow) => {
    const clicks = flow.source('clicks', source<Click>()).keyBy((click) => click.user)
    const views = flow.source('views', source<View>())
    const joined = clicks.connect(views.keyBy((view) => view.user)).process('join', {
      state: { pages: list<number>(), clicks: value(() => 0) },
      emits: type<{ readonly user: string }>(),
      onFirst(click, { key, state }) {
        expectTypeOf(click).toEqualTypeOf<Click>()
        expectTypeOf(key).toEqualTypeOf<string>()
        expectTypeOf(state.clicks).toEqualTypeOf<ValueState<number>>()
      },
      onSecond(view, { key, state, emit }) {
        expectTypeOf(view).toEqualTypeOf<View>()
        expectTypeOf(state.pages).toEqualTypeOf<ListState<number>>()
        emit({ user: key })
      },
    })
    expectTypeOf(joined).toEqualTypeOf<OperatorStream<{ readonly user: string }>>()
    // @ts-expect-error another type of key
    clicks.connect(views.keyBy((view) => view.page))
    // @ts-expect-error no key at all
    clicks.connect(views)
    // @ts-expect-error the same
    views.connect(clicks)
    views.connect(views.map('page', (view) => view.page)).process('plain', {
      state: { waiting: splitList<View>() },
      onFirst(view, { state }) {
        expectTypeOf(view).toEqualTypeOf<View>()
        expectTypeOf(state.waiting).toEqualTypeOf<ListState<View>>()
      },
      onSecond: (page) => expectTypeOf(page).toEqualTypeOf<number>(),
    })
  })
})

test('broadcast state is written beside the broadcast stream, and read beside the other', () => {
  void ((flow: Flow) => {
    const clicks = flow.source('clicks', source<Click>())
    const rules = flow.source('rules', source<Rule>()).broadcast()
    const judged = clicks.connect(rules).process('plain', {
      broadcast: { limits: broadcastMap<string, number>() },
      emits: type<number>(),
      onRecord(click, context) {
        expectTypeOf(click).toEqualTypeOf<Click>()
        expectTypeOf(context.broadcast.limits).toEqualTypeOf<ReadonlyMapState<string, number>>()
        // @ts-expect-error it can only be read here
        const wrong = (): unknown => context.broadcast.limits.set('x', 1)
        // @ts-expect-error there is no key
        void [wrong, context.key]
        context.emit(context.broadcast.limits.get(click.user) ?? 0)
      },
      onBroadcast(rule, context) {
        expectTypeOf(rule).toEqualTypeOf<Rule>()
        expectTypeOf(context.broadcast.limits).toEqualTypeOf<MapState<string, number>>()
        context.broadcast.limits.set(rule.name, rule.limit)
      },
    })
    expectTypeOf(judged).toEqualTypeOf<OperatorStream<number>>()
    clicks
      .keyBy((click) => click.user)
      .connect(rules)
      .process('keyed', {
        state: { seen: value(() => 0) },
        broadcast: { limits: broadcastMap<string, number>() },
        onRecord(_, { key, state, broadcast }) {
          expectTypeOf(key).toEqualTypeOf<string>()
          expectTypeOf(state.seen).toEqualTypeOf<ValueState<number>>()
          expectTypeOf(broadcast.limits).toEqualTypeOf<ReadonlyMapState<string, number>>()
        },
        onBroadcast(rule, context) {
          expectTypeOf(context.broadcast.limits).toEqualTypeOf<MapState<string, number>>()
          // @ts-expect-error no key here
          void context.key
          // @ts-expect-error and so no state of it
          void context.state
          context.broadcast.limits.set(rule.name, rule.limit)
        },
      })
    // @ts-expect-error without broadcast state
    clicks.connect(rules).process('x', { onRecord: nothing, onBroadcast: nothing })
  })
})
