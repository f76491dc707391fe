/**
 * The lives of the job: started, killed at random moments, started again, and stopped when it has read all there is. Which moments is drawn
 * from a seed.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { JobProblem, problemOf, RunningJob, type JobEvent } from '../running-job.ts'
import type { KafkaExample } from './example.ts'
import type { Feed } from './feed.ts'
import type { Options } from './options.ts'
import type { Topics } from './topics.ts'

const INTERVAL_MS = 100
/** Of one life, on average. */
export const LIFE_MS = 1_200
/** Part of the kills that come while a life begins. */
const EARLY_SHARE = 0.25
const FIRST_EARLY_MS = 1_000
const LONGEST = 2
const PATIENCE_MS = 60_000
const LOOK_AGAIN_MS = 5
const STILL_MS = 100

export interface Stage {
  readonly example: KafkaExample
  readonly options: Options
  /** In which the job runs. */
  readonly directory: string
  readonly brokers: string
  readonly topics: Topics
  readonly feed: Feed
  /** In [0, 1) */
  readonly random: () => number
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** What a life has said so far. */
interface Life {
  restored: number | null | undefined
  completed: number
  /** All partitions together. */
  position: number
  isOver: boolean
  /** For who has to find out why it does not get on. */
  last: string
}

/** @throws JobProblem; the signal's reason */
export async function liveAll(stage: Stage): Promise<void> {
  const { options, directory, feed, say } = stage
  let startMs = FIRST_EARLY_MS
  for (let life = 1; life <= options.kills; life += 1) {
    feed.allow()
    await live(stage, async (job, so) => {
      const startedAt = performance.now()
      // A sabotage needs something that was shown before.
      const isEarly = stage.random() < EARLY_SHARE && options.sabotage === undefined
      const share = stage.random()
      if (isEarly) {
        await pause(share * startMs, undefined, { signal: stage.signal })
      } else {
        await until(stage, so, () => so.completed > 0, 'its first checkpoint')
        startMs = performance.now() - startedAt
        await pause(share * LONGEST * LIFE_MS, undefined, { signal: stage.signal })
      }
      await ended(job, 'SIGKILL')
      say(`  life ${life}: ${toldOf(so)}, killed`)
    })
  }
  if (options.sabotage === 'forget') {
    rmSync(join(directory, '.sluice'), { recursive: true, force: true })
    say('  sabotage: the checkpoints are lost')
  }
  await live(stage, async (job, so) => await lastLife(stage, job, so))
}

async function lastLife(stage: Stage, job: RunningJob, so: Life): Promise<void> {
  const { example, options, feed, topics, say, signal } = stage
  feed.allow()
  if (options.sabotage === 'abandon') {
    await until(stage, so, async () => await stoppedWithin(job, topics, example), 'an open transaction')
    await ended(job, 'SIGKILL')
    await feed.done
    return say('  sabotage: killed within a transaction, and not started again')
  }
  await feed.done
  signal.throwIfAborted()
  const end = await topics.endOf(example.input)
  await until(stage, so, () => so.position >= end, `it to read all ${end} records`)
  await ended(job, 'SIGTERM')
  say(`  life ${options.kills + 1}: ${toldOf(so)}, stopped when it had read all`)
}

/** True: it does nothing more, and a transaction is open. */
async function stoppedWithin(job: RunningJob, topics: Topics, { outputs }: KafkaExample): Promise<boolean> {
  job.signal('SIGSTOP')
  // What it sent before may still be under way.
  await pause(STILL_MS)
  if ((await topics.heldUp(outputs)).length > 0) return true
  job.signal('SIGCONT')
  return false
}

async function live(stage: Stage, act: (job: RunningJob, so: Life) => Promise<void>): Promise<void> {
  const { example, directory, brokers, signal } = stage
  const so: Life = { restored: undefined, completed: 0, position: 0, isOver: false, last: 'nothing' }
  const env = { KAFKA_INTERVAL_MS: String(INTERVAL_MS) }
  const job = new RunningJob({ job: example.job, directory, env, settings: { brokers } }, (event) => note(so, event))
  const kill = (): void => job.signal('SIGKILL')
  void job.ended.then(
    () => (so.isOver = true),
    () => (so.isOver = true),
  )
  signal.addEventListener('abort', kill)
  try {
    signal.throwIfAborted()
    await act(job, so)
  } catch (error) {
    if (so.isOver && !signal.aborted) throw new JobProblem(problemOf(await job.ended, 'running'), { cause: error })
    throw error
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
    await job.ended
  }
}

function note(so: Life, told: JobEvent): void {
  const { event, restored = null, sourcePositions = [] } = told
  so.last = JSON.stringify(told)
  if (event === 'running') so.restored = restored
  if (event !== 'completed') return
  so.completed += 1
  so.position = sourcePositions.reduce((sum, { position }) => sum + (position.offset ?? 0), 0)
}

function toldOf({ restored, completed }: Life): string {
  if (restored === undefined) return 'not running yet'
  const from = restored === null ? 'from the beginning' : `from checkpoint ${restored}`
  return `${from}, ${completed} more`
}

/** @throws JobProblem when it ends in another way */
async function ended(job: RunningJob, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  job.signal(signal)
  const end = await job.ended
  const isExpected = signal === 'SIGKILL' ? end.signal === 'SIGKILL' : end.code === 143
  if (!isExpected) throw new JobProblem(problemOf(end, signal === 'SIGKILL' ? 'killed' : 'stopped'))
}

/** @throws JobProblem when the life ends without, or it takes too long */
async function until(stage: Stage, so: Life, fact: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const giveUpAt = performance.now() + PATIENCE_MS; !(await fact());) {
    if (so.isOver) throw new JobProblem(`the job ended while ${what} was waited for`)
    if (performance.now() > giveUpAt)
      throw new JobProblem(`waited ${PATIENCE_MS / 1_000} s for ${what}; the job said last: ${so.last}`)
    await pause(LOOK_AGAIN_MS, undefined, { signal: stage.signal })
  }
}
