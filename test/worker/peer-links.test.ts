/** Connections between workers: each pair has one, and nobody else gets in. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import type { PeerLost } from '../../engine/worker/error-codec.ts'
import { frameOf } from '../../engine/worker/frame.ts'
import { PeerLinks } from '../../engine/worker/peer-links.ts'

const { random } = nodeRuntime()

interface Heard {
  readonly frames: string[]
  readonly lost: PeerLost[]
}

function helloOf(wrong: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ nonce: 'nonce', generation: 3, from: 1, to: 0, ...wrong })
}

async function linked(workers: number): Promise<readonly { links: PeerLinks; heard: Heard }[]> {
  return Promise.all(
    Array.from({ length: workers }, async (_, self) => {
      const heard: Heard = { frames: [], lost: [] }
      const links = await PeerLinks.listen({
        attempt: { nonce: 'nonce', generation: 3 },
        self,
        workers,
        random,
        onFrame: (peer, { kind, channel, payload }) =>
          heard.frames.push(`${peer}: ${kind} ${channel} ${payload.toString()}`),
        onLost: (error) => heard.lost.push(error),
      })
      return { links, heard }
    }),
  )
}

test.each([1, 2, 4])('%i workers are connected pairwise, and frames go to whom they are sent', async (workers) => {
  const all = await linked(workers)
  const addresses = all.map(({ links }) => links.address)
  await Promise.all(all.map(({ links }) => links.connect(addresses)))
  for (const { links } of all) links.resume()
  for (const [from, { links }] of all.entries()) {
    for (const to of all.keys()) {
      if (to !== from) links.send(to, 'records', from * 10 + to, { head: Buffer.from(`from ${from}`) })
    }
  }
  for (const [to, { heard }] of all.entries()) {
    const expected = [...all.keys()]
      .filter((from) => from !== to)
      .map((from) => `${from}: records ${from * 10 + to} from ${from}`)
    await expect.poll(() => heard.frames.toSorted()).toEqual(expected)
    expect(heard.lost).toEqual([])
  }
  for (const { links } of all) await links[Symbol.asyncDispose]()
  expect(all.flatMap(({ heard }) => heard.lost)).toEqual([])
})

test('what is sent before the other side is ready waits for it', async () => {
  const [left, right] = await linked(2)
  if (left === undefined || right === undefined) throw new Error('two were made')
  await using _left = left.links
  await using _right = right.links
  const addresses = [left.links.address, right.links.address]
  await Promise.all([left.links.connect(addresses), right.links.connect(addresses)])
  const big = Buffer.alloc(300_000, 'x')
  for (let index = 0; index < 5; index += 1) left.links.send(1, 'records', index, { head: big })
  left.links.resume()
  right.links.send(0, 'ended', 9)
  await expect.poll(() => left.heard.frames).toEqual(['1: ended 9 '])
  expect(right.heard.frames).toEqual([])
  right.links.resume()
  await expect.poll(() => right.heard.frames.length).toBe(5)
  expect(right.heard.frames.map((frame) => frame.slice(0, 12))).toEqual(
    [0, 1, 2, 3, 4].map((one) => `0: records ${one}`),
  )
})

test.each([
  ['of another attempt', helloOf({ nonce: 'old' })],
  ['of another generation', helloOf({ generation: 2 })],
  ['that is not meant', helloOf({ from: 0, to: 1 })],
  ['that nobody is', helloOf({ from: 7 })],
  ['of no number', helloOf({ from: 'x' })],
  ['that says nothing', '{}'],
  ['that is no JSON', '{'],
  ['too long', 'x'.repeat(5_000)],
])('a stranger with a hello %s is hung up on, and hurts nobody', async (_, hello) => {
  const [left, right] = await linked(2)
  if (left === undefined || right === undefined) throw new Error('two were made')
  await using _left = left.links
  await using _right = right.links
  const stranger = connect(left.links.address)
  const closed = once(stranger, 'close')
  stranger.on('error', () => undefined)
  stranger.write(frameOf('hello', 0, { head: Buffer.from(hello) }))
  stranger.write(frameOf('records', 0, { head: Buffer.from('evil') }))
  await closed
  const addresses = [left.links.address, right.links.address]
  await Promise.all([left.links.connect(addresses), right.links.connect(addresses)])
  left.links.resume()
  expect(left.heard).toEqual({ frames: [], lost: [] })
})

test('records before hello are not taken', async () => {
  const [left] = await linked(2)
  if (left === undefined) throw new Error('one was made')
  await using _left = left.links
  const stranger = connect(left.links.address)
  stranger.on('error', () => undefined)
  const closed = once(stranger, 'close')
  stranger.write(frameOf('records', 0, { head: Buffer.from('evil') }))
  await closed
  expect(left.heard).toEqual({ frames: [], lost: [] })
})

test('a connection that is lost is told once, to both that are left', async () => {
  const all = await linked(3)
  const addresses = all.map(({ links }) => links.address)
  await Promise.all(all.map(({ links }) => links.connect(addresses)))
  for (const { links } of all) links.resume()
  await all[1]?.links[Symbol.asyncDispose]()
  for (const one of [0, 2]) {
    await expect
      .poll(() => all[one]?.heard.lost.map(({ peer, message }) => ({ peer, message })))
      .toEqual([{ peer: 1, message: expect.stringContaining(`worker ${one} lost its connection to worker 1`) }])
  }
  for (const one of [0, 2]) await all[one]?.links[Symbol.asyncDispose]()
})

test('who cannot be reached is lost, not waited for', async () => {
  const [left, right] = await linked(2)
  await left?.links[Symbol.asyncDispose]()
  await expect(right?.links.connect([left?.links.address ?? '', ''])).rejects.toThrow(
    /worker 1 lost its connection to worker 0/,
  )
  await right?.links[Symbol.asyncDispose]()
})
