/**
 * `npm run bench -- state [--quick]`: keyed state alone. A chain of map, filter, map and keyed sum over 100,000 string keys against the
 * same loop with one Map, the same strings again and again; encoding of dirty numbers; decoding of a restored state. The last line is
 * JSON: medians; milliseconds are CPU time of the main thread, so that a busy machine does not count.
 */
import { bareChain, type Order } from './core/bare-chain.ts'
import { median, rounded } from './core/figures.ts'
import { value, type ValueState } from '../engine/graph/descriptors.ts'
import { createKeyedStateBackend, type KeyedStateBackend } from '../engine/state/keyed-state-backend.ts'

const isQuick = process.argv.includes('--quick')
const ROUNDS = isQuick ? 3 : 5
const RECORDS = isQuick ? 1_000_000 : 4_000_000
const MAX_PARALLELISM = 128

const ratios: Record<string, number> = {}
const details: Record<string, Readonly<Record<string, number>>> = {}

function keyed(): { readonly backend: KeyedStateBackend; readonly sum: ValueState<number> } {
  const backend = createKeyedStateBackend({ descriptors: { sum: value(() => 0) }, maxParallelism: MAX_PARALLELISM })
  return { backend, sum: backend.handles['sum'] as ValueState<number> }
}

function pool(keys: number): readonly Order[] {
  return Array.from({ length: keys }, (_, index) => {
    const at = (index * 7_919) % keys
    return { key: `key-${String(at).padStart(8, '0')}`, amount: index % 1_000 }
  })
}

function withState(orders: readonly Order[]): number {
  const { backend, sum: state } = keyed()
  let checksum = 0
  const sink = (sum: number): void => {
    checksum = (checksum + sum) % 1_000_003
  }
  const process = (order: Order): void => {
    backend.setCurrentKey(order.key)
    const sum = state.get() + order.amount
    state.set(sum)
    sink(sum)
  }
  const move = (order: Order): void => process({ key: order.key, amount: order.amount + 1 })
  const filter = (order: Order): void => {
    if (order.amount !== 1_998) move(order)
  }
  const double = (order: Order): void => filter({ key: order.key, amount: order.amount * 2 })
  for (let index = 0; index < RECORDS; index += 1) {
    const order = orders[index % orders.length]
    if (order !== undefined) double(order)
  }
  return checksum
}

function timed<T>(run: () => T): { readonly ms: number; readonly result: T } {
  const start = process.threadCpuUsage()
  const result = run()
  const { user, system } = process.threadCpuUsage(start)
  return { ms: (user + system) / 1_000, result }
}

function chain(): void {
  const orders = pool(100_000)
  const times: { readonly bare: number[]; readonly state: number[] } = { bare: [], state: [] }
  let expected = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = timed(() => bareChain(orders, RECORDS))
    const second = timed(() => withState(orders))
    const third = timed(() => withState(orders))
    const fourth = timed(() => bareChain(orders, RECORDS))
    expected = first.result
    // Not verified: nothing of it is printed as a result.
    if (second.result !== expected || third.result !== expected) throw new Error(`${second.result} is not ${expected}`)
    times.bare.push(first.ms, fourth.ms)
    times.state.push(second.ms, third.ms)
  }
  const [bareMs, stateMs] = [median(times.bare), median(times.state)]
  ratios['chain'] = rounded(bareMs / stateMs)
  note('chain', {
    bareNs: (bareMs / RECORDS) * 1e6,
    stateNs: (stateMs / RECORDS) * 1e6,
    checksum: expected,
  })
}

function snapshotOf(backend: KeyedStateBackend, checkpoint: number, base: number | null) {
  const cut = timed(() => backend.cut(checkpoint, base))
  const slices: number[] = []
  for (;;) {
    const { ms, result } = timed(() => cut.result.encodeSlice())
    slices.push(ms)
    if (result) break
  }
  const finished = cut.result.finish()
  const { bytes } = finished
  const made = finished.handle(
    bytes === null ? null : { key: `b${checkpoint}`, sizeBytes: bytes.byteLength, sha256: '' },
  )
  const done = timed(() => backend.completed(checkpoint))
  return { cutMs: cut.ms, slices, completedMs: done.ms, bytes: bytes ?? new Uint8Array(), handle: made }
}

function encoding(): void {
  const orders = pool(1_000_000)
  const { backend, sum } = keyed()
  for (const [index, { key }] of orders.entries()) {
    backend.setCurrentKey(key)
    sum.set(index)
  }
  const full = snapshotOf(backend, 1, null)
  const totals: number[] = []
  let longest = 0
  let cutMs = 0
  let completedMs = 0
  for (let round = 2; round < 2 + ROUNDS * 2; round += 1) {
    for (const { key } of orders.slice(round * 10_000, round * 10_000 + 60_000)) {
      backend.setCurrentKey(key)
      sum.set(sum.get() + 1)
    }
    const delta = snapshotOf(backend, round, round - 1)
    totals.push(delta.slices.reduce((total, ms) => total + ms, 0))
    longest = Math.max(longest, ...delta.slices)
    cutMs = Math.max(cutMs, delta.cutMs)
    completedMs = Math.max(completedMs, delta.completedMs)
  }
  const fullMs = full.slices.reduce((total, ms) => total + ms, 0)
  note('encode60kOf1M', { medianMs: median(totals), longestSliceMs: longest, cutMs, completedMs })
  note('encode1M', {
    ms: fullMs,
    slices: full.slices.length,
    longestSliceMs: Math.max(...full.slices),
    bytes: full.bytes.byteLength,
  })
  const decodes: number[] = []
  let longestGroup = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const restored = keyed().backend
    const { ms } = timed(() => {
      restored.restore(1, [full.handle], new Map([['b1', full.bytes]]))
      for (;;) {
        const slice = timed(() => restored.restoreIdleSlice())
        longestGroup = Math.max(longestGroup, slice.ms)
        if (!slice.result) break
      }
    })
    decodes.push(ms)
  }
  note('decode1M', { medianMs: median(decodes), longestGroupMs: longestGroup })
}

function note(name: string, figures: Readonly<Record<string, number>>): void {
  details[name] = Object.fromEntries(Object.entries(figures).map(([key, figure]) => [key, rounded(figure)]))
  console.error(name, JSON.stringify(details[name]))
}

chain()
encoding()
console.log(JSON.stringify({ bench: 'state', ratios, verified: true, quick: isQuick, ...details }))
