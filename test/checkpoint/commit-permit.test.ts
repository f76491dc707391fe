import { expect, test } from 'vitest'
import {
  permitForCompleted,
  permitForRecovered,
  permitToAbort,
  permitToAbortOwn,
  sourcePositionsOf,
} from '../../engine/checkpoint/commit-permit.ts'
import { sampleEntry, sampleManifest, sampleOperator, sampleRetained } from './samples.ts'

const splits = [{ split: { id: 's0' }, position: 17, ended: false }]
const operators = [sampleOperator('orders', { splits })]

test('a completed entry permits to commit its newest checkpoint, with the positions (C1)', () => {
  const entry = sampleEntry({ kind: 'completed', generation: 2, retained: [sampleRetained(3), sampleRetained(4)] })
  const permit = permitForCompleted(entry, sampleManifest(4, { operators }))
  expect(permit).toMatchObject({ generation: 2, checkpoint: 4 })
  expect(permit.sourcePositions).toEqual([
    { operator: 'orders', splitId: 's0', split: { id: 's0' }, position: 17, ended: false },
  ])
  expect(sourcePositionsOf(sampleManifest(4))).toEqual([])
})

test('no other entry and no other checkpoint gives that permit', () => {
  const retained = [sampleRetained(3), sampleRetained(4)]
  for (const kind of ['started', 'committed', 'alive', 'ended'] as const)
    expect(() => permitForCompleted(sampleEntry({ kind, retained }), sampleManifest(4))).toThrow(/C1/)
  for (const checkpoint of [3, 5])
    expect(() => permitForCompleted(sampleEntry({ kind: 'completed', retained }), sampleManifest(checkpoint))).toThrow(
      /C1/,
    )
})

test('a started entry permits to commit what it retains above committedThrough, nothing else (C1)', () => {
  const entry = sampleEntry({ generation: 5, retained: [sampleRetained(3), sampleRetained(4)], committedThrough: 3 })
  expect(permitForRecovered(entry, sampleManifest(4))).toMatchObject({ generation: 5, checkpoint: 4 })
  for (const checkpoint of [3, 5]) expect(() => permitForRecovered(entry, sampleManifest(checkpoint))).toThrow(/C1/)
  expect(() => permitForRecovered({ ...entry, kind: 'completed' }, sampleManifest(4))).toThrow(/C1/)
})

test('nothing may be aborted while a checkpoint of an older generation is due (S2)', () => {
  const retained = [sampleRetained(3, { generation: 4 }), sampleRetained(4, { generation: 5 })]
  const entry = sampleEntry({ generation: 5, retained })
  expect(() => permitToAbort({ ...entry, committedThrough: 2 })).toThrow(/S2/)
  expect(permitToAbort({ ...entry, committedThrough: 3 })).toMatchObject({ generation: 5 })
  expect(() => permitToAbortOwn({ ...entry, committedThrough: 3 })).toThrow(/S2/)
  expect(permitToAbortOwn({ ...entry, committedThrough: 4 })).toMatchObject({ generation: 5 })
})
