/**
 * `sluice checkpoints list`: the checkpoints that the log of a job retains.
 */
import { bytesOf, referredBlobs, storedBytes } from '../../engine/checkpoint/summary.ts'
import { bytesText } from '../amounts.ts'
import { tableOf, timeText } from '../table.ts'
import { JobCheckpoints, type CheckpointFlags, type Seen } from './subject.ts'

export async function list(job: string, flags: CheckpointFlags): Promise<void> {
  await using checkpoints = await JobCheckpoints.open(job, flags)
  const seen = await checkpoints.all()
  const { committedThrough } = checkpoints.newest
  const rows = seen.map((one, index) => rowOf(one, seen[index - 1], committedThrough))
  const { job: id } = checkpoints
  process.stdout.write(flags.json === true ? `${JSON.stringify({ job: id, checkpoints: rows })}\n` : textOf(id, rows))
}

type Row = ReturnType<typeof rowOf>

function rowOf({ retained, manifest }: Seen, before: Seen | undefined, committedThrough: number) {
  const { checkpoint, generation, final, at } = retained
  const blobs = referredBlobs(manifest)
  const known = new Set(before === undefined ? [] : referredBlobs(before.manifest).map(({ key }) => key))
  return {
    checkpoint,
    at: timeText(at),
    generation,
    lineage: manifest.lineage,
    final,
    committed: checkpoint <= committedThrough,
    sizeBytes: storedBytes(manifest, retained),
    /** In blobs that the one before does not refer to. */
    newBytes: bytesOf(blobs.filter(({ key }) => !known.has(key))),
    blobs: blobs.length,
  }
}

function textOf(job: string, rows: readonly Row[]): string {
  if (rows.length === 0) return `${job}: no checkpoint yet\n`
  const head = ['checkpoint', 'completed at', 'generation', 'size', 'new', 'blobs', 'state']
  const lines = rows.map((row) => [
    String(row.checkpoint),
    row.at,
    String(row.generation),
    bytesText(row.sizeBytes),
    bytesText(row.newBytes),
    String(row.blobs),
    [row.committed ? 'committed' : 'completed, commits due', ...(row.final ? ['final'] : [])].join(', '),
  ])
  return tableOf([head, ...lines], [0, 2, 3, 4, 5])
}
