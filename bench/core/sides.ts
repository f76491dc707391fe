/**
 * The sides of `npm run bench -- core`, each run in a fresh process: `node bench/core/sides.ts <side> <json options>` prints one JSON line
 * { seconds, cpuSeconds, records, checksum, rssMb }.
 */
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineJob, json, value } from '../../engine/index.ts'
import { discardSink } from '../../sinks/discard/sink.ts'
import { fileSink } from '../../sinks/file/sink.ts'
import { fileSource } from '../../sources/file/source.ts'
import { SeededRandom } from '../../sources/generator/seeded-random.ts'
import { bareChain, type Order } from './bare-chain.ts'
import { memorySource } from './memory-source.ts'
import { runHere } from './run-here.ts'

export interface SideOptions {
  readonly records: number
  readonly keys: number
  /** Chains: how many orders there are; they are read again and again until the records are complete. */
  readonly pool: number
  readonly input: string
  /** 0: no checkpoint but the last. */
  readonly intervalMs: number
}

export interface SideResult {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly records: number
  readonly checksum: number
  readonly rssMb: number
}

/** What was computed; asked for when the clock has stopped. */
type Check = () => number

const BATCH = 1_024
const NEVER_MS = 1_000_000_000

/** Orders of random keys, as JSON.parse makes them: each with a flat string of its own. */
function pool(size: number, keys: number): readonly Order[] {
  const random = new SeededRandom(1)
  const orders: Order[] = []
  while (orders.length < size) {
    const some = Array.from({ length: 1_000 }, () => ({
      key: `key-${String(Math.floor(random.next() * keys)).padStart(8, '0')}`,
      amount: Math.floor(random.next() * 1_000),
    }))
    orders.push(...(JSON.parse(JSON.stringify(some)) as Order[]))
  }
  return orders
}

function chainBare({ records }: SideOptions, orders: readonly Order[]): Promise<Check> {
  const checksum = bareChain(orders, records)
  return Promise.resolve(() => checksum)
}

async function chainSluice(options: SideOptions, orders: readonly Order[]): Promise<Check> {
  let checksum = 0
  await runHere(
    defineJob({
      id: 'chain',
      checkpoint: { intervalMs: NEVER_MS },
      build(flow) {
        flow
          .source('orders', poolSource(options, orders))
          .map('double', (order) => ({ key: order.key, amount: order.amount * 2 }))
          .filter('some', (order) => order.amount !== 1_998)
          .map('move', (order) => ({ key: order.key, amount: order.amount + 1 }))
          .keyBy((order) => order.key)
          .process('sum', {
            state: { sum: value(() => 0) },
            onRecord(order, { state, emit }) {
              const sum = state.sum.get() + order.amount
              state.sum.set(sum)
              checksum = (checksum + sum) % 1_000_003
              emit(sum)
            },
          })
          .sink('discard', discardSink())
      },
    }),
  )
  return () => checksum
}

function poolSource({ records }: SideOptions, orders: readonly Order[]): ReturnType<typeof memorySource<Order>> {
  return memorySource((from) => {
    if (from >= records) return 'ended'
    const values: Order[] = []
    for (let next = from, stop = Math.min(records, from + BATCH); next < stop; next += 1) {
      const order = orders[next % orders.length]
      if (order !== undefined) values.push(order)
    }
    return values
  })
}

const BLOCK = 1 << 20
const COMMA = 44
const NEWLINE = 10

/** Read, parse (a line or a block at a time), keyed total, one line out per record, fsync. */
function fileBare(byBlock: boolean): (options: SideOptions) => Promise<Check> {
  return ({ input }) => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
    const source = openSync(input, 'r')
    const out = openSync(join(directory, 'out'), 'w')
    const buffer = Buffer.allocUnsafe(BLOCK)
    const totals = new Map<string, number>()
    let text = ''
    let rest = 0
    const one = (order: Order): void => {
      const total = (totals.get(order.key) ?? 0) + order.amount
      totals.set(order.key, total)
      text += `{"key":"${order.key}","total":${total}}\n`
      if (text.length < 1 << 18) return
      writeSync(out, text, null, 'latin1')
      text = ''
    }
    for (;;) {
      const read = readSync(source, buffer, rest, BLOCK - rest, null)
      if (read === 0) break
      const length = rest + read
      const end = buffer.lastIndexOf(NEWLINE, length - 1)
      if (byBlock) {
        for (let at = buffer.indexOf(NEWLINE); at >= 0 && at < end; at = buffer.indexOf(NEWLINE, at + 1))
          buffer[at] = COMMA
        for (const order of JSON.parse(`[${buffer.toString('latin1', 0, end)}]`) as Order[]) one(order)
      } else {
        for (let at = 0; at < end;) {
          const stop = buffer.indexOf(NEWLINE, at)
          one(JSON.parse(buffer.toString('latin1', at, stop)) as Order)
          at = stop + 1
        }
      }
      buffer.copyWithin(0, end + 1, length)
      rest = length - end - 1
    }
    writeSync(out, text, null, 'latin1')
    fsyncSync(out)
    closeSync(out)
    closeSync(source)
    return Promise.resolve(() => checksumOf(directory, 'out'))
  }
}

async function fileSluice({ input, intervalMs }: SideOptions): Promise<Check> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  await runHere(
    defineJob({
      id: 'file',
      checkpoint: { intervalMs: intervalMs === 0 ? NEVER_MS : intervalMs },
      build(flow) {
        flow
          .source('orders', fileSource({ path: input, decode: json<Order>() }))
          .keyBy((order) => order.key)
          .process('total', {
            state: { total: value(() => 0) },
            onRecord(order, { state, emit, key }) {
              const total = state.total.get() + order.amount
              state.total.set(total)
              emit({ key, total })
            },
          })
          .sink('totals', fileSink({ path: directory, encode: json() }))
      },
    }),
  )
  return () => checksumOf(directory, 'part-')
}

/** Of all lines in order, in files that are then removed. */
function checksumOf(directory: string, prefix: string): number {
  let sum = 0
  for (const name of readdirSync(directory).toSorted()) {
    if (!name.startsWith(prefix)) continue
    for (const [, total] of readFileSync(join(directory, name), 'latin1').matchAll(/"total":(\d+)/g)) {
      sum = (sum * 31 + Number(total) + 1) % 1_000_000_007
    }
  }
  rmSync(directory, { recursive: true })
  return sum
}

const SIDES: Readonly<Record<string, (options: SideOptions, orders: readonly Order[]) => Promise<Check>>> = {
  'chain-bare': chainBare,
  'chain-sluice': chainSluice,
  'file-bare-line': fileBare(false),
  'file-bare-block': fileBare(true),
  'file-sluice': fileSluice,
}

const [, , name, text] = process.argv
const side = SIDES[name ?? '']
if (side === undefined || text === undefined) throw new Error(`no side ${name}`)
const options = JSON.parse(text) as SideOptions
// Made before the clock starts.
const orders = name?.startsWith('chain-') === true ? pool(options.pool, options.keys) : []
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
const check = await side(options, orders)
const cpu = process.cpuUsage(cpuBefore)
const seconds = (performance.now() - startedAt) / 1_000
const result: SideResult = {
  seconds,
  cpuSeconds: (cpu.user + cpu.system) / 1e6,
  records: options.records,
  checksum: check(),
  rssMb: Math.round(process.resourceUsage().maxRSS / 1_024),
}
console.log(JSON.stringify(result))
