/**
 * `sluice checkpoints diff`: what has changed between two checkpoints of a job.
 */
import { movedSplits } from '../../engine/checkpoint/repetition.ts'
import { bytesOf, operatorsOf, referredBlobs, type OperatorSummary } from '../../engine/checkpoint/summary.ts'
import { bytesText } from '../amounts.ts'
import { tableOf, timeText } from '../table.ts'
import { JobCheckpoints, type CheckpointFlags, type Seen } from './subject.ts'

export async function diff(job: string, [a, b]: readonly [string, string], flags: CheckpointFlags): Promise<void> {
  await using checkpoints = await JobCheckpoints.open(job, flags)
  const difference = differenceOf(await checkpoints.one(a), await checkpoints.one(b))
  process.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ job: checkpoints.job, ...difference })}\n`
      : textOf(checkpoints.job, difference),
  )
}

type Difference = ReturnType<typeof differenceOf>

function differenceOf(a: Seen, b: Seen) {
  const [before, after] = [operatorsOf(a.manifest), operatorsOf(b.manifest)]
  const [namesBefore, namesAfter] = [before, after].map((all) => new Set(all.map(({ operator }) => operator)))
  const [blobsBefore, blobsAfter] = [referredBlobs(a.manifest), referredBlobs(b.manifest)]
  const keysBefore = new Set(blobsBefore.map(({ key }) => key))
  const keysAfter = new Set(blobsAfter.map(({ key }) => key))
  const counted = (blobs: typeof blobsAfter): { readonly count: number; readonly sizeBytes: number } => ({
    count: blobs.length,
    sizeBytes: bytesOf(blobs),
  })
  return {
    a: pointOf(a),
    b: pointOf(b),
    positions: movedSplits(a.manifest, b.manifest),
    splitsGone: movedSplits(b.manifest, a.manifest)
      .filter(({ from }) => from === null)
      .map(({ operator, split, to }) => ({ operator, split, position: to })),
    operatorsAdded: after
      .filter(({ operator }) => namesBefore?.has(operator) === false)
      .map(({ operator }) => operator),
    operatorsGone: before.filter(({ operator }) => namesAfter?.has(operator) === false).map(({ operator }) => operator),
    state: stateOf(before, after),
    blobs: {
      shared: counted(blobsAfter.filter(({ key }) => keysBefore.has(key))),
      new: counted(blobsAfter.filter(({ key }) => !keysBefore.has(key))),
      gone: counted(blobsBefore.filter(({ key }) => !keysAfter.has(key))),
    },
  }
}

function pointOf({ retained: { checkpoint, generation, at } }: Seen) {
  return { checkpoint, generation, at: timeText(at) }
}

/** Of operators that have state in either. */
function stateOf(before: readonly OperatorSummary[], after: readonly OperatorSummary[]) {
  const sizeIn = (all: readonly OperatorSummary[], name: string): number => {
    const one = all.find(({ operator }) => operator === name)
    return one === undefined ? 0 : one.stateBytes + one.operatorStateBytes
  }
  const names = new Set([...before, ...after].map(({ operator }) => operator))
  return [...names].flatMap((operator) => {
    const [beforeBytes, afterBytes] = [sizeIn(before, operator), sizeIn(after, operator)]
    return beforeBytes + afterBytes === 0 ? [] : [{ operator, beforeBytes, afterBytes }]
  })
}

function textOf(job: string, difference: Difference): string {
  const { a, b, positions, splitsGone, operatorsAdded, operatorsGone, state, blobs } = difference
  const counted = ({ count, sizeBytes }: Difference['blobs']['new']): string => `${count} (${bytesText(sizeBytes)})`
  return [
    `${job}: checkpoint ${a.checkpoint} of ${a.at} -> checkpoint ${b.checkpoint} of ${b.at}\n`,
    ...(positions.length === 0 ? ['  no source has moved\n'] : []),
    ...positions.map(
      ({ operator, split, from, to }) =>
        `  ${operator} ${split}: ${from === null ? 'new' : JSON.stringify(from)} -> ${JSON.stringify(to)}\n`,
    ),
    ...splitsGone.map(({ operator, split }) => `  ${operator} ${split}: gone\n`),
    ...operatorsAdded.map((operator) => `  operator ${operator}: added\n`),
    ...operatorsGone.map((operator) => `  operator ${operator}: gone\n`),
    tableOf(
      state.map((one) => [`  state of ${one.operator}:`, bytesText(one.beforeBytes), '->', bytesText(one.afterBytes)]),
      [1, 3],
    ),
    `  blobs: ${counted(blobs.shared)} shared, ${counted(blobs.new)} new, ${counted(blobs.gone)} gone\n`,
  ].join('')
}
