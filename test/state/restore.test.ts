/** Snapshots and their restore: values that survive or are refused, damaged blobs, edits of the job, rescale, chains that stay bounded. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { KeyedStateHandle } from '../../engine/checkpoint/manifest.ts'
import type { StateDescriptor } from '../../engine/graph/job-graph.ts'
import { list, map, value, type ValueState } from '../../engine/graph/descriptors.ts'
import { keyGroupOf, keyGroupRange } from '../../engine/state/key-group.ts'
import {
  createKeyedStateBackend,
  restoreKeyedState,
  type KeyedStateBackend,
} from '../../engine/state/keyed-state-backend.ts'

const MAX = 16
const blobs = new Map<string, Uint8Array>()
const getBlob = ({ key }: { readonly key: string }): Promise<Uint8Array> =>
  Promise.resolve(blobs.get(key) ?? new Uint8Array())

function open(
  descriptors: Readonly<Record<string, StateDescriptor>>,
  range = { first: 0, last: MAX - 1 },
): KeyedStateBackend {
  return createKeyedStateBackend({
    descriptors,
    maxParallelism: MAX,
    firstKeyGroup: range.first,
    lastKeyGroup: range.last,
  })
}
function at(backend: KeyedStateBackend, key: unknown, name = 'v'): ValueState<unknown> {
  backend.setCurrentKey(key)
  return backend.handles[name] as ValueState<unknown>
}
function snapshot(backend: KeyedStateBackend, checkpoint: number, base: number | null): KeyedStateHandle {
  const taken = backend.cut(checkpoint, base)
  while (!taken.encodeSlice());
  const finished = taken.finish()
  const { bytes } = finished
  const key = `b-${blobs.size}`
  if (bytes !== null) blobs.set(key, bytes)
  const sha256 = createHash('sha256')
    .update(bytes ?? '')
    .digest('hex')
  const handle = finished.handle(bytes === null ? null : { key, sizeBytes: bytes.byteLength, sha256 })
  backend.completed(checkpoint)
  return handle
}

test('values come back as they were', async () => {
  const date = new Date(5)
  const values = [
    undefined,
    null,
    -0,
    Number.NaN,
    2 ** 31,
    0.5,
    'ü',
    true,
    7n,
    -(2n ** 90n),
    date,
    new Map([[1, new Set(['x'])]]),
    [{ a: 1 }, { a: undefined }],
    new Uint8Array([1, 2]),
  ]
  const backend = open({ v: value(() => 'initial') })
  for (const [index, one] of values.entries()) at(backend, index).set(one)
  const restored = open({ v: value(() => 'initial') })
  await restoreKeyedState(restored, { checkpoint: 1, handles: [snapshot(backend, 1, null)], getBlob })
  for (const [index, one] of values.entries()) expect(at(restored, index).get()).toStrictEqual(one)
  expect(at(restored, 'untouched').get()).toBe('initial')
})

test('what state cannot keep is refused with its path', () => {
  for (const no of [() => 1, new (class Order {})(), { a: [Symbol('s')] }, 'a\ud800']) {
    const backend = open({ v: value(() => 0) })
    at(backend, 'k').set(no)
    expect(() => snapshot(backend, 1, null)).toThrow(/state "v".* holds .*keep plain objects/)
  }
})

test('states may be added and reordered; removed or changed ones are refused unless dropped', async () => {
  const backend = open({ v: value(() => 0), w: value(() => 0) })
  at(backend, 'k').set(1)
  at(backend, 'k', 'w').set(2)
  const handles = [snapshot(backend, 1, null)]
  const edited = open({ added: value(() => 9), w: value(() => 0), l: list(), v: value(() => 0) })
  await restoreKeyedState(edited, { checkpoint: 1, handles, getBlob })
  expect(['v', 'w', 'added'].map((name) => at(edited, 'k', name).get())).toEqual([1, 2, 9])
  await expect(restoreKeyedState(open({ v: value(() => 0) }), { checkpoint: 1, handles, getBlob })).rejects.toThrow(
    /"w".*declare/,
  )
  await expect(
    restoreKeyedState(open({ v: value(() => 0), w: map() }), { checkpoint: 1, handles, getBlob }),
  ).rejects.toThrow(/"w" was value/)
  const dropping = open({ v: value(() => 0) })
  await restoreKeyedState(dropping, { checkpoint: 1, handles, getBlob, dropped: ['w'] })
  const again = open({ v: value(() => 0), w: value(() => 'gone') })
  await restoreKeyedState(again, { checkpoint: 2, handles: [snapshot(dropping, 2, 1)], getBlob })
  expect([at(again, 'k').get(), at(again, 'k', 'w').get()]).toEqual([1, 'gone'])
})

test('state moves by key group to another parallelism and back (F23)', async () => {
  let handles: readonly KeyedStateHandle[] = []
  for (const [round, parallelism] of [1, 3, 2].entries()) {
    const backends = Array.from({ length: parallelism }, (_, subtask) =>
      open({ v: value(() => 0) }, keyGroupRange(subtask, parallelism, MAX)),
    )
    for (const backend of backends)
      if (round > 0) await restoreKeyedState(backend, { checkpoint: round, handles, getBlob })
    for (let key = 0; key < 300; key += 1) {
      const group = keyGroupOf(`k${key}`, MAX)
      const owner = backends.find(({ firstKeyGroup, lastKeyGroup }) => firstKeyGroup <= group && group <= lastKeyGroup)
      if (owner === undefined) throw new Error(`nobody owns ${group}`)
      const state = at(owner, `k${key}`)
      expect(state.get()).toBe(round === 0 ? 0 : key + round)
      state.set(key + round + 1)
    }
    handles = backends.map((backend) => snapshot(backend, round + 1, round === 0 ? null : round))
  }
})

test('chains and blobs stay bounded through hundreds of checkpoints (F29)', () => {
  const backend = open({ v: value(() => 0) })
  for (let key = 0; key < 2_000; key += 1) at(backend, `k${key}`).set(key)
  let handle = snapshot(backend, 1, null)
  for (let checkpoint = 2; checkpoint < 400; checkpoint += 1) {
    at(backend, `k${checkpoint % 50}`).set(checkpoint)
    handle = snapshot(backend, checkpoint, checkpoint - 1)
    expect(handle.blobs.length).toBeLessThanOrEqual(66)
    expect(Math.max(...handle.keyGroups.map(({ segments }) => segments.length))).toBeLessThanOrEqual(40)
  }
})

test('frozen state refuses to be changed in place', () => {
  const backend = createKeyedStateBackend({ descriptors: { v: value(() => 0) }, maxParallelism: MAX, freeze: true })
  at(backend, 'k').set({ inner: new Map([[1, 1]]) })
  const got = at(backend, 'k').get() as { inner: Map<number, number> }
  expect(() => got.inner.set(2, 2)).toThrow(/in place/)
  expect(() => Object.assign(got, { inner: 0 })).toThrow(/read only/)
})

test('a snapshot holds its cut although records move while it is written and after it was abandoned (F30, F31)', async () => {
  const backend = open({ v: value(() => 0) })
  for (let key = 0; key < 500; key += 1) at(backend, `k${key}`).set(key)
  const base = snapshot(backend, 1, null)
  for (let key = 0; key < 500; key += 3) at(backend, `k${key}`).set(-key)
  const abandoned = backend.cut(2, 1)
  abandoned.encodeSlice()
  abandoned.abandon()
  for (let key = 1; key < 500; key += 3) at(backend, `k${key}`).set(-key)
  const taken = backend.cut(3, 1)
  // New keys make pages leave while the delta, of both epochs, is still to be encoded.
  for (let key = 500; key < 20_000; key += 1) at(backend, `k${key}`).set(key)
  for (let key = 0; key < 500; key += 1) at(backend, `k${key}`).set('later')
  while (!taken.encodeSlice());
  const finished = taken.finish()
  const bytes = finished.bytes ?? new Uint8Array()
  blobs.set('moved', bytes)
  const handle = finished.handle({ key: 'moved', sizeBytes: bytes.byteLength, sha256: '' })
  backend.completed(3)
  const restored = open({ v: value(() => 'none') })
  await restoreKeyedState(restored, { checkpoint: 3, handles: [handle], getBlob })
  for (let key = 0; key < 500; key += 1) expect(at(restored, `k${key}`).get()).toBe(key % 3 === 2 ? key : -key)
  expect(at(restored, 'k500').get()).toBe('none')
  expect(base.keyGroups).toHaveLength(MAX)
})
