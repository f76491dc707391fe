/**
 * `sluice checkpoints show`: all that one checkpoint of a job, or a savepoint, holds.
 */
import { sourcePositionsOf } from '../../engine/checkpoint/commit-permit.ts'
import type { BlobReference, Manifest } from '../../engine/checkpoint/manifest.ts'
import { bytesOf, operatorsOf, referredBlobs, type OperatorSummary } from '../../engine/checkpoint/summary.ts'
import { openSavepointAt } from '../savepoint-at.ts'
import { bytesText } from '../amounts.ts'
import { tableOf, timeText } from '../table.ts'
import { isPlace, JobCheckpoints, type CheckpointFlags } from './subject.ts'

export async function show(subject: string, checkpoint: string | undefined, flags: CheckpointFlags): Promise<void> {
  const shown = isPlace(subject) ? await savepointShown(subject) : await checkpointShown(subject, checkpoint, flags)
  process.stdout.write(flags.json === true ? `${JSON.stringify(shown)}\n` : textOf(shown))
}

type Shown = Awaited<ReturnType<typeof checkpointShown>> | Awaited<ReturnType<typeof savepointShown>>

async function checkpointShown(job: string, checkpoint: string | undefined, flags: CheckpointFlags) {
  await using checkpoints = await JobCheckpoints.open(job, flags)
  const { retained, manifest } = await checkpoints.one(checkpoint)
  const { committedThrough } = checkpoints.newest
  const isCommitted = retained.checkpoint <= committedThrough
  const stored: BlobReference | null =
    'key' in retained ? { key: retained.key, sizeBytes: retained.sizeBytes, sha256: retained.sha256 } : null
  return {
    job: checkpoints.job,
    savepoint: null,
    checkpoint: retained.checkpoint,
    at: timeText(retained.at),
    final: retained.final,
    committed: isCommitted,
    /** null: in the log entry. */
    manifest: stored,
    ...held(manifest),
    /** By sink: what is still to be made visible. */
    due: isCommitted ? {} : dueOf(manifest),
  }
}

async function savepointShown(uri: string) {
  await using opened = await openSavepointAt(uri)
  const { description, manifest } = opened.savepoint
  const { job, checkpoint, at, final, copiedAt, run, openSinks } = description
  return {
    job,
    savepoint: { uri: opened.savepoint.uri, copiedAt: timeText(copiedAt), run, openSinks },
    checkpoint,
    at: timeText(at),
    final,
    committed: true,
    manifest: description.manifest,
    ...held(manifest),
    due: {},
  }
}

function held(manifest: Manifest) {
  const blobs = referredBlobs(manifest)
  return {
    generation: manifest.generation,
    lineage: manifest.lineage,
    maxParallelism: manifest.maxParallelism,
    sizeBytes: bytesOf(blobs),
    sources: sourcePositionsOf(manifest).map(({ operator, splitId, position, ended }) => ({
      operator,
      split: splitId,
      position,
      ended,
    })),
    operators: operatorsOf(manifest),
    blobs,
  }
}

function dueOf(manifest: Manifest): Readonly<Record<string, number>> {
  const due = operatorsOf(manifest).filter(({ committables }) => committables > 0)
  return Object.fromEntries(due.map(({ operator, committables }) => [operator, committables]))
}

function textOf(shown: Shown): string {
  const { savepoint, job, checkpoint, manifest } = shown
  const what = savepoint === null ? `checkpoint ${checkpoint}` : `savepoint of checkpoint ${checkpoint}`
  const state = [shown.committed ? 'committed' : 'completed, commits due', ...(shown.final ? ['final'] : [])]
  const due = Object.entries(shown.due).map(([sink, count]) => `  due: ${count} commits of sink ${sink}\n`)
  return [
    `${job}: ${what}, completed at ${shown.at}, ${state.join(', ')}\n`,
    `  generation ${shown.generation}, lineage ${shown.lineage}, ${shown.maxParallelism} key groups\n`,
    `  manifest ${manifest === null ? 'in the log entry' : `${manifest.key}, ${bytesText(manifest.sizeBytes)}`}\n`,
    ...(savepoint === null ? [] : savepointLines(savepoint)),
    ...due,
    'sources\n',
    ...shown.sources.map(
      (one) => `  ${one.operator} ${one.split}: ${JSON.stringify(one.position)}${one.ended ? ', ended' : ''}\n`,
    ),
    'operators\n',
    indented(tableOf(shown.operators.map(operatorRow), [1])),
    `blobs: ${shown.blobs.length}, ${bytesText(shown.sizeBytes)}\n`,
    indented(
      tableOf(
        shown.blobs.map(({ key, sizeBytes }) => [key, bytesText(sizeBytes)]),
        [1],
      ),
    ),
  ].join('')
}

function savepointLines({ uri, copiedAt, run, openSinks }: NonNullable<Shown['savepoint']>): readonly string[] {
  const settings = Object.entries(run.settings).map(([name, value]) => `  setting ${name}: ${value}\n`)
  return [
    `  at ${uri}, copied at ${copiedAt}\n`,
    `  of the run of generation ${run.generation}, plan ${run.planHash}, code ${run.codeIdentity}, parallelism ${run.parallelism}\n`,
    ...settings,
    ...openSinks.map((sink) => `  sink ${sink} had output open, which is not in here\n`),
  ]
}

function operatorRow(one: OperatorSummary): readonly string[] {
  const kinds = (all: Readonly<Record<string, string>>): readonly string[] =>
    Object.entries(all).map(([name, kind]) => `${name}: ${kind}`)
  const details = [
    ...(one.splits > 0 ? [`${one.splits} splits`] : []),
    ...kinds(one.state),
    ...(one.keyGroups > 0 ? [`${one.keyGroups} key groups`] : []),
    ...kinds(one.operatorState),
    ...(one.writerState > 0 ? [`${one.writerState} entries of writer state`] : []),
    ...(one.committables > 0 ? [`${one.committables} committables`] : []),
    ...(one.ended ? ['ended'] : []),
  ]
  const bytes = one.stateBytes + one.operatorStateBytes
  return [one.operator, bytes === 0 ? '' : bytesText(bytes), `${one.subtasks} x`, details.join(', ')]
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}
