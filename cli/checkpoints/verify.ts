/**
 * `sluice checkpoints verify`: is every byte of a checkpoint, or of a savepoint, as it was written? Exit code 1 names what is not.
 */
import { CorruptCheckpointError, messageOf, unreachable } from '../../engine/api/index.ts'
import type { RetainedCheckpoint } from '../../engine/checkpoint/log-entry.ts'
import { readBlob } from '../../engine/coordinator/blobs.ts'
import { loadManifest } from '../../engine/coordinator/recovery.ts'
import { verifyManifest, type Problem, type Verification } from '../../engine/coordinator/verify-checkpoint.ts'
import { jobIdOf } from '../job-id.ts'
import { openSavepointAt } from '../savepoint-at.ts'
import { bytesText } from '../amounts.ts'
import { isPlace, JobCheckpoints, type CheckpointFlags } from './subject.ts'

export interface VerifyFlags extends CheckpointFlags {
  readonly all?: boolean
}

type Answer =
  | ({ readonly checkpoint: number; readonly state: 'sound' } & Omit<Verification, 'problems'>)
  | { readonly checkpoint: number; readonly state: 'damaged'; readonly problems: readonly Problem[] }
  /** The running job let go of it while it was read: nothing can be said of it. */
  | { readonly checkpoint: number; readonly state: 'retired' }

/** @returns the exit code */
export async function verify(subject: string, checkpoint: string | undefined, flags: VerifyFlags): Promise<number> {
  const isOfPlace = isPlace(subject)
  const { answers, problem } = await lookedAt(() =>
    isOfPlace ? ofSavepoint(subject).then((one) => [one]) : ofJob(subject, checkpoint, flags),
  )
  const of = isOfPlace ? { job: null, savepoint: { uri: subject } } : { job: await jobIdOf(subject), savepoint: null }
  const text = [...(problem === null ? [] : [`damaged: ${problem}\n`]), ...answers.map(textOf)].join('')
  process.stdout.write(flags.json === true ? `${JSON.stringify({ ...of, problem, checkpoints: answers })}\n` : text)
  return problem !== null || answers.some(({ state }) => state === 'damaged') ? 1 : 0
}

interface LookedAt {
  readonly answers: readonly Answer[]
  /** What is damaged before any checkpoint is found: the log, or the description of a savepoint. */
  readonly problem: string | null
}

async function lookedAt(look: () => Promise<readonly Answer[]>): Promise<LookedAt> {
  try {
    return { answers: await look(), problem: null }
  } catch (error) {
    if (error instanceof CorruptCheckpointError) return { answers: [], problem: error.message }
    throw error
  }
}

async function ofJob(job: string, checkpoint: string | undefined, flags: VerifyFlags): Promise<readonly Answer[]> {
  await using checkpoints = await JobCheckpoints.open(job, flags)
  const { retained } = checkpoints.newest
  if (flags.all === true) return inTurn(retained, (one) => answerOf(checkpoints, one))
  if (checkpoint !== undefined) return [await answerOf(checkpoints, checkpoints.retained(checkpoint))]
  const answer = await newestAnswer(checkpoints)
  return answer === undefined ? [] : [answer]
}

/** A job that runs may retire the newest one while it is read; of one that is retired nothing can be said. */
const MOST_LOOKS = 5

async function newestAnswer(checkpoints: JobCheckpoints): Promise<Answer | undefined> {
  let answer: Answer | undefined
  for (let look = 1; look <= MOST_LOOKS; look += 1) {
    const newest = checkpoints.newest.retained.at(-1)
    answer = newest === undefined ? undefined : await answerOf(checkpoints, newest)
    if (answer?.state !== 'retired') break
  }
  return answer
}

async function answerOf(checkpoints: JobCheckpoints, retained: RetainedCheckpoint): Promise<Answer> {
  const { checkpoint } = retained
  const answer = await verified(checkpoints, retained)
  if (answer.state === 'damaged' && !(await checkpoints.isRetained(checkpoint))) return { checkpoint, state: 'retired' }
  return answer
}

async function verified({ store }: JobCheckpoints, retained: RetainedCheckpoint): Promise<Answer> {
  const { checkpoint } = retained
  try {
    const { manifest } = await loadManifest(store, retained)
    if (manifest.checkpoint !== checkpoint) {
      const problem = `is of checkpoint ${manifest.checkpoint}`
      return { checkpoint, state: 'damaged', problems: [{ where: 'the manifest', problem }] }
    }
    return answerFrom(checkpoint, await verifyManifest(manifest, (blob) => readBlob(store, blob)))
  } catch (error) {
    if (!(error instanceof CorruptCheckpointError)) throw error
    return { checkpoint, state: 'damaged', problems: [{ where: 'the manifest', problem: messageOf(error) }] }
  }
}

async function ofSavepoint(uri: string): Promise<Answer> {
  await using opened = await openSavepointAt(uri)
  const { manifest, description } = opened.savepoint
  return answerFrom(description.checkpoint, await verifyManifest(manifest, (blob) => readBlob(opened.store, blob)))
}

function answerFrom(checkpoint: number, { problems, ...counts }: Verification): Answer {
  if (problems.length > 0) return { checkpoint, state: 'damaged', problems }
  return { checkpoint, state: 'sound', ...counts }
}

function textOf(answer: Answer): string {
  const what = `checkpoint ${answer.checkpoint}`
  switch (answer.state) {
    case 'sound':
      return (
        `${what}: sound (${answer.blobs} blobs, ${bytesText(answer.sizeBytes)}; ` +
        `${answer.segments} segments, ${answer.entries} entries)\n`
      )
    case 'damaged':
      return `${what}: damaged\n${answer.problems.map(({ where, problem }) => `  ${where} ${problem}\n`).join('')}`
    case 'retired':
      return `${what}: retired by the running job while it was read; nothing can be said of it\n`
    default:
      return unreachable(answer)
  }
}

/** One after another: each reads as much as the disk gives. */
async function inTurn<T, U>(items: readonly T[], act: (item: T) => Promise<U>): Promise<readonly U[]> {
  const results: U[] = []
  for (const item of items) results.push(await act(item))
  return results
}
