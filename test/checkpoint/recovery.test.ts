import { expect, test } from 'vitest'
import { isDeliveryOnly, recoverySteps } from '../../engine/checkpoint/recovery.ts'
import { sampleEntry, sampleRetained } from './samples.ts'

const three = sampleEntry({ retained: [sampleRetained(3), sampleRetained(4), sampleRetained(6)], committedThrough: 3 })
const kinds = (...args: Parameters<typeof recoverySteps>): readonly string[] =>
  recoverySteps(...args).map((one) => one.kind)

test('the first start of all aborts, sweeps and begins anew', () => {
  expect(recoverySteps(sampleEntry(), 'latest')).toEqual([
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    { kind: 'restore', checkpoint: null },
    { kind: 'run' },
  ])
})

test('what is due is committed in order and noted before anything is aborted (C6, S2)', () => {
  expect(recoverySteps(three, 'latest')).toEqual([
    { kind: 'commit', checkpoint: 4 },
    { kind: 'commit', checkpoint: 6 },
    { kind: 'append-committed', through: 6, retained: [3, 4, 6] },
    { kind: 'forget', checkpoints: [3, 4, 6] },
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    { kind: 'restore', checkpoint: 6 },
    { kind: 'run' },
  ])
})

test('nothing due: nothing is noted', () => {
  expect(kinds({ ...three, committedThrough: 6 }, 'latest')).toEqual([
    'forget',
    'abort-stale',
    'sweep',
    'restore',
    'run',
  ])
})

test('a final checkpoint starts no task; ended comes after forget (F24)', () => {
  const final = sampleEntry({ retained: [sampleRetained(1), sampleRetained(2, { final: true })], committedThrough: 1 })
  expect(kinds(final, 'latest')).toEqual([
    'commit',
    'append-committed',
    'forget',
    'abort-stale',
    'sweep',
    'append-ended',
  ])
  expect(kinds({ ...final, committedThrough: 2 }, 'latest')).toEqual(['forget', 'abort-stale', 'sweep', 'append-ended'])
})

test('a rollback delivers what the old lineage completed, notes what is left of it, and runs from there', () => {
  expect(recoverySteps(three, 3)).toEqual([
    { kind: 'commit', checkpoint: 4 },
    { kind: 'commit', checkpoint: 6 },
    { kind: 'append-committed', through: 6, retained: [3] },
    { kind: 'forget', checkpoints: [3, 4, 6] },
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    { kind: 'restore', checkpoint: 3 },
    { kind: 'run' },
  ])
  expect(recoverySteps({ ...three, committedThrough: 6 }, 'none')[0]).toEqual({
    kind: 'append-committed',
    through: 6,
    retained: [],
  })
})

test('a savepoint is imported when what is due is committed; the entry of the import retains nothing else', () => {
  expect(recoverySteps(three, 'savepoint')).toEqual([
    { kind: 'commit', checkpoint: 4 },
    { kind: 'commit', checkpoint: 6 },
    { kind: 'import' },
    { kind: 'forget', checkpoints: [3, 4, 6] },
    { kind: 'abort-stale' },
    { kind: 'sweep' },
    { kind: 'restore', checkpoint: 'imported' },
    { kind: 'run' },
  ])
  expect(kinds(sampleEntry(), 'savepoint')).toEqual(['import', 'abort-stale', 'sweep', 'restore', 'run'])
})

test('beginning anew is noted even where there is nothing to give up', () => {
  expect(kinds(sampleEntry(), 'none')).toEqual(['append-committed', 'abort-stale', 'sweep', 'restore', 'run'])
})

test('a final checkpoint that is rolled back is not the end', () => {
  const final = sampleEntry({ retained: [sampleRetained(1), sampleRetained(2, { final: true })], committedThrough: 2 })
  expect(kinds(final, 1).at(-1)).toBe('run')
  expect(kinds(final, 'none').at(-1)).toBe('run')
})

test('only a final checkpoint that is not rolled back leaves nothing but to deliver', () => {
  const final = sampleEntry({ retained: [sampleRetained(1), sampleRetained(2, { final: true })] })
  expect([isDeliveryOnly(final, 'latest'), isDeliveryOnly(final, 2)]).toEqual([true, true])
  expect([isDeliveryOnly(final, 'none'), isDeliveryOnly(final, 1)]).toEqual([false, false])
  expect([isDeliveryOnly(three, 'latest'), isDeliveryOnly(sampleEntry(), 'latest')]).toEqual([false, false])
})

test('restoring what is not retained, and recovery from another entry than a start, are bugs', () => {
  expect(() => recoverySteps(three, 5)).toThrow(/5 is not retained/)
  expect(() => recoverySteps({ ...three, kind: 'completed' }, 'latest')).toThrow(/begins at a started entry/)
  expect(() => recoverySteps({ ...three, retained: three.retained.toReversed() }, 'latest')).toThrow(/C5/)
})
