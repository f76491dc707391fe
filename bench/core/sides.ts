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
import { openStore } from '../../checkpoint-store/open-store.ts'
import { runJob } from '../../engine/coordinator/run-job.ts'
import { createHolder } from '../../engine/host/holder.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { defineJob, json, value, type JobDefinition, type Source } from '../../engine/index.ts'
import { discardSink } from '../../sinks/discard/sink.ts'
import { fileSink } from '../../sinks/file/sink.ts'
import { fileSource } from '../../sources/file/source.ts'
import { SeededRandom } from '../../sources/generator/seeded-random.ts'

export interface SideOptions {
  readonly records: number
  readonly keys: number
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

interface Order {
  readonly key: string
  readonly amount: number
}

const BATCH = 1_024
const POOL = 1_000_000
const NEVER_MS = 1_000_000_000

/** Orders of random keys, as JSON.parse makes them: each with a flat string of its own. */
function pool(keys: number): readonly Order[] {
  const random = new SeededRandom(1)
  const orders: Order[] = []
  while (orders.length < POOL) {
    const some = Array.from({ length: 1_000 }, () => ({
      key: `key-${String(Math.floor(random.next() * keys)).padStart(8, '0')}`,
      amount: Math.floor(random.next() * 1_000),
    }))
    orders.push(...(JSON.parse(JSON.stringify(some)) as Order[]))
  }
  return orders
}

function chainBare({ records }: SideOptions, orders: readonly Order[]): Promise<number> {
  const sums = new Map<string, number>()
  let checksum = 0
  for (let index = 0; index < records; index += 1) {
    const order = orders[index % POOL]
    if (order === undefined) continue
    const doubled = { key: order.key, amount: order.amount * 2 }
    if (doubled.amount === 1_998) continue
    const moved = { key: doubled.key, amount: doubled.amount + 1 }
    const sum = (sums.get(moved.key) ?? 0) + moved.amount
    sums.set(moved.key, sum)
    checksum = (checksum + sum) % 1_000_003
  }
  return Promise.resolve(checksum)
}

async function chainSluice(options: SideOptions, orders: readonly Order[]): Promise<number> {
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
  return checksum
}

function poolSource({ records }: SideOptions, orders: readonly Order[]): Source<Order, { id: string }, number> {
  const split = { id: 'pool' }
  return {
    kind: 'pool',
    guarantee: 'exactly-once',
    validate: () => Promise.resolve(),
    discover: () => Promise.resolve([{ split, start: 0 }]),
    createReader: () => {
      let next = 0
      return Promise.resolve({
        assign: () => Promise.resolve(),
        poll: () => {
          if (next >= records) return { kind: 'ended' as const }
          const values: Order[] = []
          for (const stop = Math.min(records, next + BATCH); next < stop; next += 1) {
            const order = orders[next % POOL]
            if (order !== undefined) values.push(order)
          }
          return { kind: 'records' as const, split, records: { values }, after: next }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      })
    },
  }
}

const BLOCK = 1 << 20
const COMMA = 44
const NEWLINE = 10

/** Read, parse (a line or a block at a time), keyed total, one line out per record, fsync. */
function fileBare(byBlock: boolean): (options: SideOptions) => Promise<number> {
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
    const checksum = checksumOf([join(directory, 'out')])
    rmSync(directory, { recursive: true })
    return Promise.resolve(checksum)
  }
}

async function fileSluice({ input, intervalMs }: SideOptions): Promise<number> {
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
  const parts = readdirSync(directory).filter((name) => name.startsWith('part-'))
  const checksum = checksumOf(parts.map((name) => join(directory, name)))
  rmSync(directory, { recursive: true })
  return checksum
}

/** Of all lines in any order: their number and the sum of all totals. */
function checksumOf(files: readonly string[]): number {
  let sum = 0
  for (const file of files) {
    for (const [, total] of readFileSync(file, 'latin1').matchAll(/"total":(\d+)/g))
      sum = (sum * 1 + Number(total) + 1) % 1_000_000_007
  }
  return sum
}

async function runHere(definition: JobDefinition): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-store-'))
  await using store = await openStore(directory)
  await using holder = await createHolder()
  const end = await runJob({
    definition,
    settings: {},
    store,
    runtime: nodeRuntime(),
    baseDirectory: process.cwd(),
    codeIdentity: '',
    holder: holder.identity,
    isHolderAlive: () => Promise.resolve(false),
    stopSignal: new AbortController().signal,
  })
  rmSync(directory, { recursive: true })
  if (end.state !== 'FINISHED') throw new Error(`the job ended ${end.state}`)
}

const SIDES: Readonly<Record<string, (options: SideOptions, orders: readonly Order[]) => Promise<number>>> = {
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
const orders = name?.startsWith('chain-') === true ? pool(options.keys) : []
const cpuBefore = process.cpuUsage()
const startedAt = performance.now()
const checksum = await side(options, orders)
const cpu = process.cpuUsage(cpuBefore)
const result: SideResult = {
  seconds: (performance.now() - startedAt) / 1_000,
  cpuSeconds: (cpu.user + cpu.system) / 1e6,
  records: options.records,
  checksum,
  rssMb: Math.round(process.resourceUsage().maxRSS / 1_024),
}
console.log(JSON.stringify(result))
