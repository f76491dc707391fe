import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  chooseRetained,
  deletableBlobs,
  isCleanable,
  keysOfCheckpoint,
  type StoredCheckpoint,
} from '../../engine/checkpoint/retention.ts'
import type { OperatorStateHandle } from '../../engine/checkpoint/manifest.ts'
import { isDebris } from '../../engine/checkpoint/sweep.ts'
import { sampleManifest, sampleOperator } from './samples.ts'

const numbered = (...checkpoints: number[]) => checkpoints.map((checkpoint) => ({ checkpoint }))

test('the newest are retained, and whatever is not committed (C2)', () => {
  expect(chooseRetained(numbered(1, 2, 3, 5), 2, 5)).toEqual({ retained: numbered(3, 5), retired: [1, 2] })
  expect(chooseRetained(numbered(1, 2, 3, 5), 2, 1)).toEqual({ retained: numbered(2, 3, 5), retired: [1] })
  expect(chooseRetained(numbered(7), 0, 7).retained).toEqual(numbered(7))
})

test('retained and retired are all there is, and nothing uncommitted is retired', () => {
  const completed = fc.uniqueArray(fc.integer({ min: 1, max: 50 })).map((all) => all.toSorted((a, b) => a - b))
  fc.assert(
    fc.property(completed, fc.nat({ max: 5 }), fc.nat({ max: 50 }), (all, keep, through) => {
      const { retained, retired } = chooseRetained(numbered(...all), keep, through)
      expect([...retired, ...retained.map((one) => one.checkpoint)].toSorted((a, b) => a - b)).toEqual(all)
      expect(retired.every((one) => one <= through)).toBe(true)
      expect(retained.at(-1)?.checkpoint).toBe(all.at(-1))
    }),
  )
})

function stored(checkpoint: number, blobs: readonly string[], manifestKey?: string): StoredCheckpoint {
  const references = blobs.map((key) => ({ key, sizeBytes: 1, sha256: '' }))
  const state = { format: 1, descriptors: {}, blobs: references, keyGroups: [] } as const
  return { manifest: sampleManifest(checkpoint, { operators: [sampleOperator('total', { state })] }), manifestKey }
}

test('a blob goes with the last checkpoint that refers to it', () => {
  const retired = [stored(1, ['base', 'delta-1'], 'manifest-1'), stored(2, ['base', 'delta-2'])]
  const kept = [stored(3, ['base', 'delta-2', 'delta-3'])]
  expect(deletableBlobs(retired, kept)).toEqual(['manifest-1', 'delta-1'])
  expect(deletableBlobs(retired, [])).toEqual(['manifest-1', 'base', 'delta-1', 'delta-2'])
})

test('a blob of operator state is kept as long as keyed state would be, entries in the manifest need none (C3)', () => {
  const withState = (checkpoint: number, ...handles: OperatorStateHandle[]): StoredCheckpoint => ({
    manifest: sampleManifest(checkpoint, {
      operators: handles.map((operatorState, subtask) => sampleOperator('match', { subtask, operatorState })),
    }),
    manifestKey: undefined,
  })
  const descriptors = { buffer: { kind: 'split-list' } }
  const inBlob = (key: string): OperatorStateHandle => ({
    format: 1,
    descriptors,
    blob: { key, sizeBytes: 1, sha256: '' },
  })
  const inline: OperatorStateHandle = { format: 1, descriptors, inline: 'AA==' }
  expect(keysOfCheckpoint(withState(1, inBlob('one'), inline, inBlob('two')))).toEqual(['one', 'two'])
  expect(deletableBlobs([withState(1, inBlob('old'), inBlob('both'))], [withState(2, inBlob('both'))])).toEqual(['old'])
})

test('no blob of a kept checkpoint is ever deletable (C3)', () => {
  const some = fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e')), { maxLength: 4 })
  fc.assert(
    fc.property(some, some, (retired, kept) => {
      const all = kept.map((blobs, index) => stored(index + 10, blobs))
      const needed = new Set(all.flatMap(keysOfCheckpoint))
      const deletable = deletableBlobs(
        retired.map((blobs, index) => stored(index + 1, blobs)),
        all,
      )
      expect(deletable.filter((key) => needed.has(key))).toEqual([])
      expect(new Set([...deletable, ...needed])).toEqual(new Set([...retired.flat(), ...needed]))
    }),
  )
})

test('started entries are never cleaned, others a waymark after the next', () => {
  expect(isCleanable(999, 'completed', 2)).toBe(true)
  expect(isCleanable(1_000, 'completed', 2)).toBe(false)
  expect(isCleanable(999, 'completed', 1)).toBe(false)
  expect(isCleanable(1, 'started', 100)).toBe(false)
  expect(isCleanable(1, 'completed', 0)).toBe(false)
})

test('a sweep deletes only unreferenced names of older generations (F36)', () => {
  const facts = { key: 'k', owner: 4, sweeper: 5, referred: new Set(['needed']) }
  expect(isDebris(facts)).toBe(true)
  expect(isDebris({ ...facts, owner: 5 })).toBe(false)
  expect(isDebris({ ...facts, owner: 6 })).toBe(false)
  expect(isDebris({ ...facts, owner: undefined })).toBe(false)
  expect(isDebris({ ...facts, key: 'needed' })).toBe(false)
})
