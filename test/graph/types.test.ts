/** What the compiler knows of a stream: types travel from the source to the sink, and state is read-only where it is handed out. */
import { expectTypeOf, test } from 'vitest'
import { buildJob, list, map, type, value, type DeepReadonly, type Flow } from '../../engine/index.ts'
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
