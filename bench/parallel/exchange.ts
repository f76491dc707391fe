/**
 * `node bench/parallel/exchange.ts <json options>`: records over a unix socket, our channel against bare frames of the same encoding (msgpack
 * in a length-prefixed frame, nothing else), both ends in one process, so that CPU per record is the whole of both. A, B, B, A; each
 * verified by a sum. Prints one JSON line.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Packr, Unpackr } from 'msgpackr'
import { NO_TIMESTAMP } from '../../engine/api/index.ts'
import { Connection } from '../../engine/worker/connection.ts'
import { median, rounded } from '../core/figures.ts'
import { RemoteChannelReader, RemoteChannelWriter } from '../../engine/worker/remote-channel.ts'

interface Order {
  readonly customer: string
  readonly cents: number
  readonly status: string
  readonly at: number
}

interface Batch {
  readonly values: readonly Order[]
  readonly timestamps: readonly number[]
}

interface Taken {
  readonly wallMs: number
  readonly cpuMs: number
  readonly sum: number
}

export interface ExchangeOptions {
  /** In a batch. */
  readonly size: number
  readonly records: number
  readonly rounds: number
}

export interface ExchangeResult {
  /** CPU per record, ours to bare. */
  readonly ratio: number
  readonly nanosPerRecord: Readonly<Record<'ours' | 'bare', number>>
  readonly recordsPerSecond: number
  readonly isRight: boolean
}

/** Of the one channel of a task that has one. */
const CAPACITY = 4_096

const [, , text] = process.argv
const { size, records, rounds } = JSON.parse(text ?? '{"size":256,"records":200000,"rounds":1}') as ExchangeOptions
console.log(JSON.stringify(await compare()))

async function compare(): Promise<ExchangeResult> {
  const batches = batchesOf()
  const expected = batches.reduce((sum, { values }) => sum + sumOf(values), 0)
  const takes: Record<'ours' | 'bare', Taken[]> = { ours: [], bare: [] }
  const order = ['ours', 'bare', 'bare', 'ours'] as const
  for (const who of order) await measure(who === 'ours' ? ours : bare, batches)
  for (let round = 0; round < rounds; round += 1) {
    for (const who of order) takes[who].push(await measure(who === 'ours' ? ours : bare, batches))
  }
  const nanos = { ours: nanosOf(takes.ours), bare: nanosOf(takes.bare) }
  return {
    ratio: rounded(nanos.ours / nanos.bare),
    nanosPerRecord: nanos,
    recordsPerSecond: Math.round((records / median(takes.ours.map(({ wallMs }) => wallMs))) * 1_000),
    isRight: [...takes.ours, ...takes.bare].every(({ sum }) => sum === expected),
  }
}

function nanosOf(takes: readonly Taken[]): number {
  return Math.round((median(takes.map(({ cpuMs }) => cpuMs)) / records) * 1e6)
}

function batchesOf(): readonly Batch[] {
  return Array.from({ length: Math.ceil(records / size) }, (_, batch) => {
    const values = Array.from({ length: Math.min(size, records - batch * size) }, (_unused, row): Order => {
      const index = batch * size + row
      return {
        customer: `customer-${(index * 7_919) % 100_000}`,
        cents: (index * 31) % 10_000,
        status: index % 3 === 0 ? 'paid' : 'open',
        at: 1_700_000_000_000 + index,
      }
    })
    return { values, timestamps: values.map(() => NO_TIMESTAMP) }
  })
}

function sumOf(values: readonly unknown[]): number {
  let sum = 0
  for (const value of values as readonly Order[]) sum += value.cents
  return sum
}

async function measure(
  way: (ends: readonly [Socket, Socket], batches: readonly Batch[]) => Promise<number>,
  batches: readonly Batch[],
): Promise<Taken> {
  const ends = await socketPair()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const sum = await way(ends, batches)
  const wallMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpu)
  for (const end of ends) end.destroy()
  return { wallMs, cpuMs: (user + system) / 1_000, sum }
}

async function ours([a, b]: readonly [Socket, Socket], batches: readonly Batch[]): Promise<number> {
  const writing = new Connection(a, { onFrame: ({ payload }) => writer.granted(payload), onClose: () => undefined })
  const reading = new Connection(b, { onFrame: (frame) => reader.received(frame), onClose: () => undefined })
  const reader = new RemoteChannelReader({ connection: reading, channel: 0, capacity: CAPACITY })
  const writer = new RemoteChannelWriter({ connection: writing, channel: 0, capacity: CAPACITY, operator: 'orders' })
  const write = async (): Promise<void> => {
    for (const batch of batches) {
      if (!writer.hasCredit) await writer.whenCredit()
      writer.send({ kind: 'records', ...batch })
    }
    writer.send({ kind: 'ended' })
  }
  const written = write()
  let sum = 0
  for (;;) {
    const item = reader.queue.take()
    if (item?.kind === 'ended') break
    if (item?.kind === 'records') sum += sumOf(item.values)
    if (item === undefined) await new Promise<void>((resolve) => (reader.queue.wake = resolve))
  }
  await written
  return sum
}

/** Waits for `drain`, and for nothing else. */
async function bare([a, b]: readonly [Socket, Socket], batches: readonly Batch[]): Promise<number> {
  const options = { useRecords: true, moreTypes: true, useBigIntExtension: true, copyBuffers: true }
  const packr = new Packr(options)
  const unpackr = new Unpackr(options)
  let sum = 0
  let held: Buffer = Buffer.alloc(0)
  b.on('data', (chunk: Buffer) => {
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    let at = 0
    while (bytes.length - at >= 4 && bytes.length - at >= 4 + bytes.readUInt32LE(at)) {
      const length = bytes.readUInt32LE(at)
      sum += sumOf(unpackr.unpack(bytes.subarray(at + 4, at + 4 + length)) as readonly unknown[])
      at += 4 + length
    }
    held = bytes.subarray(at)
  })
  for (const { values } of batches) {
    const packed = packr.pack(values)
    const head = Buffer.allocUnsafe(4)
    head.writeUInt32LE(packed.length)
    a.cork()
    a.write(head)
    const isFull = !a.write(packed)
    a.uncork()
    if (isFull) await once(a, 'drain')
  }
  a.end()
  await once(b, 'end')
  return sum
}

async function socketPair(): Promise<readonly [Socket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-exchange-'))
  const server = createServer().listen(join(directory, 'socket'))
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const connecting = connect(join(directory, 'socket'))
  const [other] = await accepted
  server.close()
  rmSync(directory, { recursive: true, force: true })
  return [connecting, other]
}
