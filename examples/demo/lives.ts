/**
 * The lives of one job: started, killed at a random moment, started again, …, stopped when the shop has closed, and run to the end of
 * the input. What it is told to do in each life is what a user would do; which moment is drawn from a seed.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { JobProblem, problemOf, RunningJob, type JobEnd, type JobEvent } from '../running-job.ts'
import type { DemoEvent, LifeEnd } from './demo-event.ts'
import type { Options } from './options.ts'
import type { ReaderReport } from './reader-line.ts'
import { ReaderProcess } from './reader-process.ts'
import { isPossible, sabotage, type Sabotage } from './saboteur.ts'
import type { Shop } from './shop.ts'

const JOB = new URL('../orders/job.ts', import.meta.url)
export const INTERVAL_MS = 250
/** Relative to the directory in which the job runs. */
export const INPUT = 'data/orders.ndjson'
export const OUTPUT = 'out'

/** Part of the kills that come while a life begins, before it has shown anything new. */
const EARLY_SHARE = 0.25
/** A life is killed so long after its first new output, as a part of the time that a life has on average. */
const SHORTEST = 0.1
const LONGEST = 1.4
const PATIENCE_MS = 60_000
const BETWEEN_TRIES_MS = 2
/** Parts of the orders that are left when the life begins in which it is done. */
const BEFORE_SABOTAGE = 0.1
const UNTIL_SABOTAGE = 0.7

export interface Stage {
  readonly directory: string
  readonly options: Options
  readonly shop: Shop
  /** In [0, 1) */
  readonly random: () => number
  readonly onEvent: (event: DemoEvent) => void
  readonly signal: AbortSignal
}

export class Lives implements Disposable {
  readonly #stage: Stage
  readonly #reader: ReaderProcess
  readonly #listeners = new Set<() => void>()
  /** From the start of the newest life to its first new output. */
  #recoveryMs = 0
  #spawnedAtMs = 0
  #isRunning = false
  #hasSeenNew = false
  #wrongs = 0
  #isSabotaged = false

  constructor(stage: Stage) {
    this.#stage = stage
    this.#reader = new ReaderProcess(stage.directory, (line) => {
      if (line.kind === 'seen' || line.kind === 'wrong') this.#hear(line)
    })
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]()
  }

  /** Resolves with what the reader has to say at the end. @throws JobProblem; the signal's reason */
  async all(): Promise<ReaderReport> {
    const { shop, options, signal } = this.#stage
    const closed = shop.open(signal)
    closed.catch(() => undefined)
    for (let life = 1; life <= options.kills; life += 1) {
      await this.#live({ follow: true, livesToCome: options.kills + 1 - life }, (job) => this.#killed(job))
    }
    await this.#live({ follow: true, livesToCome: 0 }, async (job) => {
      await closed
      // Before that nobody listens to signals yet: it would be a crash.
      await this.#until(job, () => this.#isRunning, 'the job to run')
      return await this.#ended(job, 'stopped', 'SIGTERM')
    })
    await this.#live({ follow: false, livesToCome: 0 }, (job) => this.#ended(job, 'finished'))
    if (options.sabotage !== undefined && !this.#isSabotaged) {
      throw new JobProblem(`there was no moment for --sabotage ${options.sabotage}; try more --records`)
    }
    return await this.#reader.finish()
  }

  #hear(event: DemoEvent): void {
    if (event.kind === 'wrong') this.#wrongs += 1
    if (event.kind === 'running') this.#isRunning = true
    if (event.kind === 'seen' && !this.#hasSeenNew) {
      this.#hasSeenNew = true
      this.#recoveryMs = event.atMs - this.#spawnedAtMs
    }
    for (const listener of this.#listeners) listener()
    this.#stage.onEvent(event)
  }

  async #live(
    { follow, livesToCome }: { readonly follow: boolean; readonly livesToCome: number },
    act: (job: RunningJob) => Promise<LifeEnd>,
  ): Promise<void> {
    const { directory, options, shop, signal } = this.#stage
    this.#isRunning = false
    this.#hasSeenNew = false
    this.#spawnedAtMs = now()
    this.#hear({ kind: 'spawned', atMs: this.#spawnedAtMs })
    const settings = { input: INPUT, output: OUTPUT, follow: String(follow) }
    const env = { ORDERS_INTERVAL_MS: String(INTERVAL_MS) }
    const job = new RunningJob({ job: JOB, directory, env, settings }, (event) => this.#heard(event))
    const kill = (): void => job.signal('SIGKILL')
    signal.addEventListener('abort', kill)
    try {
      signal.throwIfAborted()
      const isHalfOver = livesToCome <= options.kills / 2
      if (follow && isHalfOver && options.sabotage !== undefined && !this.#isSabotaged) {
        await this.#sabotage(job, options.sabotage)
      }
      // Each life has its portion, so that each has something new to show.
      shop.allow(1 / (livesToCome + 1))
      const how = await act(job)
      signal.throwIfAborted()
      // What was visible when it ended belongs to this life.
      await this.#reader.look()
      this.#hear({ kind: 'over', atMs: now(), how })
    } finally {
      signal.removeEventListener('abort', kill)
      kill()
      await job.ended
    }
  }

  #heard({ event, restored = null, checkpoint = 0 }: JobEvent): void {
    if (event === 'running') this.#hear({ kind: 'running', atMs: now(), restored })
    if (event === 'completed') this.#hear({ kind: 'completed', atMs: now(), checkpoint })
  }

  async #killed(job: RunningJob): Promise<LifeEnd> {
    const { random, options, signal } = this.#stage
    const isEarly = random() < EARLY_SHARE && this.#recoveryMs > 0
    const share = random()
    if (isEarly) {
      await pause(share * this.#recoveryMs, undefined, { signal })
    } else {
      await this.#firstOutput(job)
      const meanMs = (1_000 * options.seconds) / (options.kills + 1)
      await pause(meanMs * (SHORTEST + (LONGEST - SHORTEST) * share), undefined, { signal })
    }
    return await this.#ended(job, 'killed', 'SIGKILL')
  }

  async #ended(job: RunningJob, how: LifeEnd, signal?: 'SIGKILL' | 'SIGTERM'): Promise<LifeEnd> {
    if (signal !== undefined) job.signal(signal)
    const end = await job.ended
    this.#stage.signal.throwIfAborted()
    if (!isExpected(end, how)) throw new JobProblem(problemOf(end, how))
    return how
  }

  /** Again and again, until there is something to do it to. Nothing of the job moves meanwhile. */
  async #sabotage(job: RunningJob, kind: Sabotage): Promise<void> {
    const { directory, shop, signal } = this.#stage
    const output = join(directory, OUTPUT)
    shop.allow(BEFORE_SABOTAGE)
    await this.#firstOutput(job)
    // Orders go on coming in.
    shop.allow(UNTIL_SABOTAGE)
    const giveUpAtMs = now() + PATIENCE_MS
    while (!this.#isSabotaged && now() < giveUpAtMs) {
      await pause(BETWEEN_TRIES_MS, undefined, { signal })
      if (!isPossible(kind, output)) continue
      job.signal('SIGSTOP')
      await this.#reader.look()
      const wrongs = this.#wrongs
      const text = sabotage(kind, output)
      if (text !== undefined && kind !== 'early') this.#sabotaged(text)
      await this.#reader.look()
      // Its checkpoint may have completed just before: then it was not early.
      if (text !== undefined && kind === 'early' && this.#wrongs > wrongs) this.#sabotaged(text)
      job.signal('SIGCONT')
    }
  }

  #sabotaged(text: string): void {
    this.#isSabotaged = true
    this.#hear({ kind: 'sabotaged', atMs: now(), text })
  }

  async #firstOutput(job: RunningJob): Promise<void> {
    await this.#until(job, () => this.#hasSeenNew, 'the reader to see something new')
  }

  /** @throws JobProblem when the life ends without, or it takes too long */
  async #until(job: RunningJob, fact: () => boolean, what: string): Promise<void> {
    const end = job.ended.then(({ code, signal, errors }) => {
      throw new JobProblem(`the job ended with ${code ?? signal} while ${what} was waited for\n${errors.trimEnd()}`)
    })
    const happened = new Promise<void>((resolve) => {
      const look = (): void => {
        if (!fact()) return
        this.#listeners.delete(look)
        resolve()
      }
      this.#listeners.add(look)
      look()
    })
    const timeout = new AbortController()
    const late = pause(PATIENCE_MS, undefined, { signal: timeout.signal }).then(() => {
      throw new JobProblem(`waited ${PATIENCE_MS / 1_000} s for ${what}`)
    })
    for (const one of [end, late]) one.catch(() => undefined)
    await Promise.race([happened, end, late])
    timeout.abort()
  }
}

function isExpected({ code, signal }: JobEnd, how: LifeEnd): boolean {
  switch (how) {
    case 'killed':
      return signal === 'SIGKILL'
    case 'stopped':
      return code === 143
    case 'finished':
      return code === 0
    default:
      throw new Error(`no life ends ${String(how satisfies never)}`)
  }
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
