/** What `checkpoints verify` finds that a checksum alone does not: bytes that are as they were written, and wrong. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { BlobReference, Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import { verifyManifest, type ReadBlob } from '../../engine/coordinator/verify-checkpoint.ts'
import { segmentHeader } from '../../engine/state/segment-codec.ts'
import { sampleManifest, sampleOperator } from '../checkpoint/samples.ts'

const HEADER = segmentHeader([['seen', 'value']])

function blobOf(key: string, bytes: Uint8Array): BlobReference {
  return { key, sizeBytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') }
}

function keyed(blob: BlobReference, segments: readonly (readonly [number, number, number])[]): OperatorSnapshot {
  return sampleOperator('count', {
    state: {
      format: 1,
      descriptors: { seen: { kind: 'value' } },
      blobs: [blob],
      keyGroups: [{ keyGroup: 3, segments }],
    },
  })
}

function manifestWith(...operators: readonly OperatorSnapshot[]): Manifest {
  return sampleManifest(5, { operators })
}

const reads =
  (bytes: Uint8Array): ReadBlob =>
  () =>
    Promise.resolve({ kind: 'whole', bytes })

test('a segment is decoded to its end', async () => {
  const manifest = manifestWith(keyed(blobOf('k', HEADER), [[0, 0, HEADER.byteLength]]))
  expect(await verifyManifest(manifest, reads(HEADER))).toEqual({
    blobs: 1,
    sizeBytes: HEADER.byteLength,
    segments: 1,
    entries: 0,
    problems: [],
  })
})

test('bytes whose checksum holds and that are no segment are named with key group and place', async () => {
  const bytes = Buffer.concat([HEADER, Buffer.from([9, 1, 2])])
  const manifest = manifestWith(keyed(blobOf('k', bytes), [[0, 0, bytes.byteLength]]))
  const { problems } = await verifyManifest(manifest, reads(bytes))
  expect(problems).toEqual([
    { where: 'k', problem: expect.stringMatching(/^holds no state of key group 3 of "count" at 0: /) },
  ])
})

test('a place outside its blob, one blob that is gone and operator state that is none are all named', async () => {
  const outside = keyed(blobOf('k', HEADER), [[0, 5, HEADER.byteLength]])
  const broken = sampleOperator('open', { operatorState: { format: 1, descriptors: {}, inline: 'AAAA' } })
  const { problems } = await verifyManifest(manifestWith(outside, broken), () =>
    Promise.resolve({ kind: 'damaged', problem: 'is missing from memory:' }),
  )
  expect(problems).toEqual([
    { where: 'k', problem: 'is missing from memory:' },
    { where: 'operator "count" subtask 0', problem: expect.stringMatching(/refers to \d+ bytes at 5 of k/) },
    {
      where: 'operator "open" subtask 0',
      problem: expect.stringMatching(/operator state in the manifest cannot be read/),
    },
  ])
})

test('a manifest of another format is not taken apart', async () => {
  const { problems } = await verifyManifest({ ...manifestWith(), format: 2 as never }, reads(HEADER))
  expect(problems).toEqual([{ where: 'the manifest', problem: 'has format 2, this release reads 1' }])
})
