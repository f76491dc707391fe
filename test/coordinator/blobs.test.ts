import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { CorruptCheckpointError } from '../../engine/api/index.ts'
import { Blobs, getBlob } from '../../engine/coordinator/blobs.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'

test.each([0, 1, 1024 * 1024, 5 * 1024 * 1024 + 3])('a blob of %d bytes comes back as it was', async (sizeBytes) => {
  const store = memoryStore()
  const bytes = Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 7) % 251)
  const reference = await new Blobs(store, 'job', 1, nodeRuntime()).put('state', bytes)
  expect(Buffer.from(await getBlob(store, reference)).equals(Buffer.from(bytes))).toBe(true)
})

test('the event loop turns while a blob is hashed (T3)', async () => {
  const runtime = nodeRuntime()
  let turns = 0
  const yieldToEventLoop = (): Promise<void> => {
    turns += 1
    return runtime.timers.yieldToEventLoop()
  }
  const counting = { ...runtime, timers: { ...runtime.timers, yieldToEventLoop } }
  await new Blobs(memoryStore(), 'job', 1, counting).put('state', new Uint8Array(5 * 1024 * 1024))
  expect(turns).toBe(4)
})

test('a damaged blob is refused by name (F15)', async () => {
  const store = memoryStore()
  const reference = await new Blobs(store, 'job', 1, nodeRuntime()).put('state', new Uint8Array([1, 2, 3]))
  for (const bad of [new Uint8Array(), new Uint8Array([1, 2]), new Uint8Array([1, 2, 2]), undefined]) {
    await store.delete(reference.key)
    if (bad !== undefined) await store.put(reference.key, bad)
    await expect(getBlob(store, reference)).rejects.toThrow(CorruptCheckpointError)
    await expect(getBlob(store, reference)).rejects.toThrow(reference.key)
  }
})

test('a name that is announced is debris once it is settled and nothing refers to it, and not before', () => {
  const blobs = new Blobs(memoryStore(), 'job', 3, nodeRuntime())
  const [used, unused, late] = [blobs.announce('a'), blobs.announce('b'), blobs.announce('c')]
  expect(new Set([used.key, unused.key, late.key]).size).toBe(3)
  expect(used.key).toMatch(/^job\/blob\/00000003\//)
  used.settled()
  unused.settled()
  expect(blobs.takeUnreferenced(new Set([used.key]))).toEqual([unused.key])
  unused.settled()
  late.settled()
  expect(blobs.takeUnreferenced(new Set())).toEqual([late.key])
  late.settled()
  expect(blobs.takeUnreferenced(new Set())).toEqual([])
})
