import { expect, test } from 'vitest'
import type { BlobReference } from '../../engine/checkpoint/manifest.ts'
import {
  asImported,
  asSavepoint,
  contentsOf,
  decodeDescription,
  encodeDescription,
  isNewestOf,
  openSinksOf,
  withoutDropped,
  type SavepointDescription,
} from '../../engine/checkpoint/savepoint.ts'
import { sampleEntry, sampleManifest, sampleOperator, sampleRetained } from './samples.ts'

function blob(name: string): BlobReference {
  return { key: `orders/blob/00000001/x-1-${name}`, sizeBytes: 10, sha256: name.padEnd(64, '0') }
}

const manifest = sampleManifest(5, {
  operators: [
    sampleOperator('count', {
      state: {
        format: 1,
        descriptors: {},
        blobs: [blob('a'), blob('b')],
        keyGroups: [{ keyGroup: 3, segments: [[1, 0, 10]] }],
      },
      operatorState: { format: 1, descriptors: {}, blob: blob('c') },
    }),
    sampleOperator('out', {
      writerState: { version: 1, entries: ['e30='] },
      committables: [
        { generation: 1, checkpoint: 5, operator: 'out', subtask: 0, index: 0, version: 1, bytes: 'e30=' },
      ],
    }),
  ],
})

const description: SavepointDescription = {
  format: 1,
  job: 'orders',
  lineage: 'abcdefgh1234',
  generation: 1,
  checkpoint: 5,
  final: false,
  at: 1,
  copiedAt: 2,
  maxParallelism: 128,
  run: { generation: 1, planHash: 'plan', codeIdentity: 'code', parallelism: 1, settings: {} },
  manifest: blob('m'),
  blobs: [blob('a')],
  sizeBytes: 20,
  openSinks: [],
}

test('a savepoint holds nothing to commit, and names its blobs by what they hold', () => {
  const mine = asSavepoint(manifest)
  expect(mine.operators.flatMap((one) => one.committables ?? [])).toEqual([])
  expect(contentsOf(mine).map(({ key }) => key)).toEqual(['a', 'b', 'c'].map((name) => `blob/${name.padEnd(64, '0')}`))
  // Places in blobs are by index: they stay.
  expect(mine.operators[0]?.state?.keyGroups).toEqual(manifest.operators[0]?.state?.keyGroups)
  expect(openSinksOf(mine)).toEqual(['out'])
})

test('imported, it is a checkpoint of the job that restores it, with blobs of that generation alone (C3, C5)', () => {
  const names = { job: 'fork', lineage: 'zyxwvuts9876', generation: 4, checkpoint: 17 }
  const mine = withoutDropped(asSavepoint(manifest), ['out'])
  const here = new Map(contentsOf(mine).map((one) => [one.sha256, { ...one, key: `fork/blob/00000004/${one.sha256}` }]))
  const imported = asImported(mine, names, here)
  expect(imported).toMatchObject({ ...names, maxParallelism: 128, operators: [{ operator: 'count' }] })
  expect(contentsOf(imported).every(({ key }) => key.startsWith('fork/blob/00000004/'))).toBe(true)
  expect(() => asImported(mine, names, new Map())).toThrow(/is not among those it names/)
})

test('a description is read back as it was written, and any other bytes are refused', () => {
  const bytes = encodeDescription(description)
  expect(decodeDescription('file:x', bytes).description).toEqual(description)
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
    expect(() => decodeDescription('file:x', flipped), `flipped at ${at}`).toThrow(/the description of the savepoint/)
    expect(() => decodeDescription('file:x', bytes.subarray(0, at)), `cut at ${at}`).toThrow(
      /the description of the savepoint/,
    )
  }
  const newer = encodeDescription({ ...description, format: 2 as never })
  expect(() => decodeDescription('file:x', newer)).toThrow(/has format 2, this release reads 1/)
})

test('it is the newest checkpoint of a log only when job, history, generation and number are the same', () => {
  const newest = sampleEntry({ retained: [sampleRetained(4), sampleRetained(5)] })
  expect(isNewestOf(description, newest)).toBe(true)
  for (const part of [{ job: 'other' }, { lineage: 'zyxwvuts9876' }, { generation: 2 }, { checkpoint: 4 }]) {
    expect(isNewestOf({ ...description, ...part }, newest)).toBe(false)
  }
  expect(isNewestOf(description, sampleEntry())).toBe(false)
})
