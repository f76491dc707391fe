/** A channel over a real socket: order, credit, and what happens to who does not keep to them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NO_TIMESTAMP, TerminalError } from '../../engine/api/index.ts'
import { type ChannelItem, type ChannelQueue } from '../../engine/task/channel.ts'
import { Connection } from '../../engine/worker/connection.ts'
import { frameOf, type Frame } from '../../engine/worker/frame.ts'
import { decodeBatch } from '../../engine/worker/record-codec.ts'
import { RemoteChannelReader, RemoteChannelWriter } from '../../engine/worker/remote-channel.ts'
import { socketPair, type SocketPair } from './socket-pair.ts'

const CHANNEL = 3
const CAPACITY = 4_096

interface Channel extends Disposable {
  readonly writer: RemoteChannelWriter
  readonly queue: ChannelQueue
  readonly pair: SocketPair
  /** Resolves with why the reading end was closed. */
  readonly closed: Promise<Error | undefined>
  creditFrames: number
}

async function channel(): Promise<Channel> {
  const pair = await socketPair()
  const closed = Promise.withResolvers<Error | undefined>()
  const writing = new Connection(pair.ends[0], {
    onFrame: (frame) => {
      made.creditFrames += 1
      made.writer.granted(frame.payload)
    },
    onClose: () => undefined,
  })
  const reading = new Connection(pair.ends[1], {
    onFrame: (frame: Frame) => reader.received(frame),
    onClose: (error) => closed.resolve(error),
  })
  const reader = new RemoteChannelReader({ connection: reading, channel: CHANNEL, capacity: CAPACITY })
  const made: Channel = {
    writer: new RemoteChannelWriter({ connection: writing, channel: CHANNEL, capacity: CAPACITY, operator: 'op' }),
    queue: reader.queue,
    pair,
    closed: closed.promise,
    creditFrames: 0,
    [Symbol.dispose]: () => pair[Symbol.dispose](),
  }
  return made
}

/** Takes until `count` items have come. */
async function taken(queue: ChannelQueue, count: number): Promise<readonly ChannelItem[]> {
  const items: ChannelItem[] = []
  while (items.length < count) {
    const item = queue.take()
    if (item !== undefined) items.push(item)
    else
      await new Promise<void>((resolve) => {
        queue.wake = resolve
      })
  }
  return items
}

function records(count: number, from = 0): ChannelItem {
  const values = Array.from({ length: count }, (_, index) => ({ index: from + index, text: `record ${from + index}` }))
  return { kind: 'records', values, timestamps: values.map(() => NO_TIMESTAMP) }
}

const item: fc.Arbitrary<ChannelItem> = fc.oneof(
  fc.integer({ min: 0, max: 200 }).map((count) => records(count)),
  fc.record({
    kind: fc.constant('barrier' as const),
    checkpoint: fc.integer({ min: 1, max: 2 ** 40 }),
    base: fc.option(fc.integer({ min: 1, max: 2 ** 40 })),
  }),
  fc.constant({ kind: 'ended' as const }),
)

test('records, barriers and the end arrive as they were sent, in their order (T2)', async () => {
  using made = await channel()
  await fc.assert(
    fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 15 }), async (items) => {
      for (const one of items) made.writer.send(one)
      expect(await taken(made.queue, items.length)).toEqual(items)
    }),
    { numRuns: 60 },
  )
})

test('a writer that waits for credit never has more than a window and a batch on its way (C8)', async () => {
  using made = await channel()
  const batch = 100
  let sent = 0
  while (made.writer.hasCredit) {
    made.writer.send(records(batch, sent))
    sent += batch
  }
  expect(sent).toBeLessThan(CAPACITY + batch)
  let isFree = false
  const credit = made.writer.whenCredit().then(() => {
    isFree = true
  })
  // All of it arrives, and none of it is credit: nobody has taken it.
  await expect.poll(() => made.queue.records).toBe(sent)
  expect(isFree).toBe(false)
  const items = await taken(made.queue, sent / batch)
  expect(items).toHaveLength(sent / batch)
  await credit
  expect(made.writer.hasCredit).toBe(true)
  // Credit comes in portions, not for each batch.
  expect(made.creditFrames).toBeLessThanOrEqual(4)
})

test('a reader that takes one batch at a time keeps the writer going for ever', async () => {
  using made = await channel()
  const rounds = 300
  const batch = 512
  const writing = (async () => {
    for (let round = 0; round < rounds; round += 1) {
      if (!made.writer.hasCredit) await made.writer.whenCredit()
      made.writer.send(records(batch, round * batch))
    }
  })()
  const items = await taken(made.queue, rounds)
  await writing
  const last = items.at(-1)
  expect(last?.kind === 'records' ? last.values.at(-1) : undefined).toMatchObject({ index: rounds * batch - 1 })
})

test('barriers and the end need no credit', async () => {
  using made = await channel()
  made.writer.send(records(CAPACITY))
  expect(made.writer.hasCredit).toBe(false)
  made.writer.send({ kind: 'barrier', checkpoint: 7, base: null })
  made.writer.send({ kind: 'ended' })
  const items = await taken(made.queue, 3)
  expect(items.slice(1)).toEqual([{ kind: 'barrier', checkpoint: 7, base: null }, { kind: 'ended' }])
})

test('a batch that is more than a frame goes in several; a single record that is more is refused by name (C8)', () => {
  const frames: Frame[] = []
  const writer = new RemoteChannelWriter({
    connection: {
      send: (kind, number, { head, rest = new Uint8Array(0) } = { head: new Uint8Array(0) }) => {
        frames.push({ kind, channel: number, payload: Buffer.concat([head, rest]) })
      },
    },
    channel: CHANNEL,
    capacity: 3,
    operator: 'op',
    maxPayloadBytes: 3_000,
  })
  const large = new Uint8Array(1_000)
  writer.send({ kind: 'records', values: [1, 2, 3].map((index) => ({ index, large })), timestamps: [1, 2, 3] })
  const indexes = frames
    .map(({ payload }) => decodeBatch(payload))
    .map(({ values, timestamps }) => {
      expect(values.map((one) => (one as { index: number }).index)).toEqual(timestamps)
      return timestamps
    })
  expect(indexes).toEqual([[1], [2, 3]])
  expect(writer.hasCredit).toBe(false)
  const tooLarge = new Uint8Array(3_000)
  expect(() => writer.send({ kind: 'records', values: [tooLarge], timestamps: [1] })).toThrow(
    /^a record of "op" has \d+ bytes; at most 3000 can go to another process$/,
  )
})

test('a record that cannot leave the process is refused where it is sent, and names who gave it', async () => {
  using made = await channel()
  const bad: ChannelItem = { kind: 'records', values: [{ later: () => 1 }], timestamps: [0] }
  expect(() => made.writer.send(bad)).toThrow(TerminalError)
  expect(() => made.writer.send(bad)).toThrow(/a record of "op" .* it\.later is a function/)
})

test.each([
  ['garbage', Buffer.from('not a frame at all'), /a frame begins with/],
  ['records that are none', frameOf('records', CHANNEL, { head: Buffer.from([1, 2, 3]) }), /has no head/],
  ['a short barrier', frameOf('barrier', CHANNEL, { head: Buffer.alloc(3) }), /a barrier of 3 bytes/],
  ['credit for who reads', frameOf('credit', CHANNEL, { head: Buffer.alloc(4) }), /not for who reads/],
])('%s closes the connection and says why', async (_, bytes, reason) => {
  using made = await channel()
  made.pair.ends[0].write(bytes)
  expect((await made.closed)?.message).toMatch(reason)
  expect(made.queue.isEmpty).toBe(true)
})

test.each([
  ['within a frame', 5, 'the other side went away within a frame'],
  ['between frames', 12, undefined],
])('the other side going away %s', async (_, bytes, message) => {
  using made = await channel()
  made.pair.ends[0].end(frameOf('ended', CHANNEL, { head: new Uint8Array(0) }).subarray(0, bytes))
  expect((await made.closed)?.message).toBe(message)
})

test('more credit than was asked for closes the connection', async () => {
  using made = await channel()
  made.writer.send(records(10))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(11)
  expect(() => made.writer.granted(head)).toThrow(/credit for 11 records, of 10 that were sent/)
  expect(() => made.writer.granted(Buffer.alloc(3))).toThrow(/credit for 0 records/)
})
