/** What a user gets from `sluice/simulation`: a sound job passes, and each kind of mistake is told with a plan that shows it again. */
import { expect, test } from 'vitest'
import { defineJob, value } from 'sluice'
import { simulate, SimulationFailure, type Connectors } from 'sluice/simulation'
import type { ValueState } from '../../engine/graph/descriptors.ts'

interface Order {
  readonly customer: string
  readonly cents: number
}

const CUSTOMERS = ['ada', 'bob', 'eve']
const orders = (split: number): readonly Order[] =>
  Array.from({ length: 12 }, (_, index) => ({
    customer: `${CUSTOMERS[index % 3]}${split}`,
    cents: 100 * split + index,
  }))

type Add = (state: ValueState<number>, order: Order) => number

/** Running totals per customer, of two splits that share none. */
const totals =
  (add: Add) =>
  ({ source, sink }: Connectors) =>
    defineJob({
      id: 'totals',
      build(flow) {
        flow
          .source('orders', source(orders(1), orders(2)))
          .keyBy((order) => order.customer)
          .process('total', {
            state: { cents: value(() => 0) },
            onRecord(order, { state, emit }) {
              emit({ customer: order.customer, cents: add(state.cents, order) })
            },
          })
          .sink('totals', sink())
      },
    })

const inState: Add = (state, { cents }) => {
  state.set(state.get() + cents)
  return state.get()
}

async function failureOf(simulating: Promise<unknown>): Promise<SimulationFailure> {
  const error: unknown = await simulating.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof SimulationFailure) return error
  throw new Error(`no SimulationFailure, but ${String(error)}`)
}

test('a job that keeps its state where it belongs shows the same in every life, in order per key', async () => {
  const tried = await simulate(totals(inState), {
    seeds: 40,
    keyOf: (record) => (record as { readonly customer: string }).customer,
  })
  expect(tried.lives).toBe(40)
  for (const name of ['crashes', 'restarts', 'rescales', 'faults', 'checkpoints'] as const)
    expect(tried[name]).toBeGreaterThan(15)
  expect(tried.comparisons).toBeGreaterThan(10_000)
})

test('a job that remembers something outside its state is found, with a small plan that shows it again', async () => {
  const remembered = new Map<string, number>()
  const job = totals((_state, { customer, cents }) => {
    // Fresh for each life: only what a crash and a replay add is too much.
    if (cents % 100 < 3) remembered.delete(customer)
    remembered.set(customer, (remembered.get(customer) ?? 0) + cents)
    return remembered.get(customer) ?? 0
  })
  const failure = await failureOf(simulate(job, { seeds: 40 }))
  expect(failure.message).toMatch(/"totals" shows too much/)
  expect(failure.plan.processes.length).toBeLessThanOrEqual(1)
  const json = /plan: (\{.*\}) \}\)/.exec(failure.message)?.[1] ?? ''
  const again = await failureOf(simulate(job, { plan: JSON.parse(json) as typeof failure.plan }))
  expect(again.message).toMatch(/"totals" shows too much/)
})

test('output that depends on when records arrive is told apart from a fault, and may be compared by its outcome', async () => {
  const numbered = ({ source, sink }: Connectors) =>
    defineJob({
      id: 'numbered',
      build(flow) {
        flow
          .source('orders', source(orders(1), orders(2)))
          .keyBy(() => 'all')
          .process('number', {
            state: { count: value(() => 0) },
            onRecord({ customer }, { state, emit }) {
              state.count.set(state.count.get() + 1)
              emit(`${state.count.get()} ${customer}`)
            },
          })
          .sink('numbers', sink())
      },
    })
  const failure = await failureOf(simulate(numbered))
  expect(failure.message).toMatch(/two runs without any fault show different things/)
  const numbers = (visible: Readonly<Record<string, readonly unknown[]>>): unknown =>
    visible['numbers']?.map((one) => Number.parseInt(String(one), 10))
  await expect(simulate(numbered, { seeds: 10, outcome: numbers })).resolves.toMatchObject({ lives: 10 })
})

test('a function that throws is told as such', async () => {
  const job = totals(() => {
    throw new Error('no such currency')
  })
  const { message } = await failureOf(simulate(job))
  expect(message).toMatch(/the job does not finish without any fault[\s\S]*operator "total" failed: no such currency/)
})
