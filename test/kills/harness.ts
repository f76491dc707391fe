/**
 * Runs jobs of the kill tests in child processes, strikes them at exact effects (effects-preload.mjs), and checks what became visible,
 * independently of the engine.
 */
import { deepEqual, ok } from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { OperatorStateHandle } from '../../engine/checkpoint/manifest.ts'
import { Run } from './run.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const BIN = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
/** Everything instead of a sample. */
export const IS_LONG = process.env['SLUICE_KILLS'] === 'all'
export const COUNT = 240
/** What a whole run gives: both sinks, and the closing record. */
export const FACTS = COUNT + 1 + COUNT / 2
const KEYS = 7
export const SINKS = ['counts', 'evens'] as const
export const LOG = '.sluice/kills/log'

/** See effects-preload.mjs. */
export interface Strike {
  readonly match?: string
  /** Default 1. */
  readonly nth?: number
  readonly moment?: 'before' | 'after'
  readonly how: 'KILL' | 'STOP' | 'TERM' | 'SLOW' | 'ENOSPC' | 'EIO' | 'EROFS' | 'EDQUOT'
  readonly times?: number
  readonly whileFile?: string
  readonly slowMs?: number
  /** Default: in the command and in each of its workers. */
  readonly in?: 'command' | number
}

export interface StartOptions {
  readonly strikes?: readonly Strike[]
  /** KILLS_ settings, without the prefix. */
  readonly settings?: Readonly<Record<string, string | number>>
  readonly flags?: readonly string[]
  /** A file of this directory, without `.job.ts`. */
  readonly job?: string
  /** Jumps of the wall clock: [age of the process, offset] in milliseconds. */
  readonly clock?: readonly (readonly [number, number])[]
  /** A module of this directory that seeds a mistake into the engine of each process. */
  readonly mistakes?: string
  /** Default true. */
  readonly isTraced?: boolean
}

/** A directory of its own for one job; everything goes when the test ends. */
export class Arena implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-kills-'))
  readonly #runs = new Set<Run>()
  #starts = 0

  start(options: StartOptions = {}): Run {
    const files = { trace: this.path(`trace-${(this.#starts += 1)}`), woken: this.path(`woken-${this.#starts}`) }
    const settings = Object.entries(options.settings ?? {}).map(([name, value]) => [`KILLS_${name}`, String(value)])
    const strikes = (options.strikes ?? []).map((strike) => ({ nth: 1, moment: 'before', ...strike }))
    const job = join(HERE, `${options.job ?? 'kills'}.job.ts`)
    const preloads = ['effects-preload.mjs', ...(options.mistakes === undefined ? [] : [options.mistakes])]
    const child = spawn(
      process.execPath,
      [
        ...preloads.flatMap((file) => ['--import', join(HERE, file)]),
        BIN,
        'run',
        job,
        '--json',
        ...(options.flags ?? []),
      ],
      {
        cwd: this.directory,
        env: {
          ...process.env,
          ...Object.fromEntries(settings),
          SLUICE_CLOCK: JSON.stringify(options.clock ?? []),
          SLUICE_STRIKES: JSON.stringify(strikes),
          ...(options.isTraced === false ? {} : { SLUICE_TRACE: files.trace }),
          SLUICE_WOKEN: files.woken,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const run = new Run(child, files)
    this.#runs.add(run)
    return run
  }

  /** One run that must end in this way; null: killed where it is told. */
  async run(code: number | null, options: StartOptions = {}): Promise<Run> {
    const run = this.start(options)
    await run.expectCode(code)
    return run
  }

  /** One run that must be killed where it is told. */
  killed(...strikes: readonly Strike[]): Promise<Run> {
    return this.run(null, { strikes })
  }

  /** What `sluice status` says, for programs or for people. */
  async status(...flags: readonly string[]): Promise<string> {
    const options = { cwd: this.directory, encoding: 'utf8' } as const
    const { stdout } = await promisify(execFile)(process.execPath, [BIN, 'status', 'kills', ...flags], options)
    return stdout
  }

  path(...names: readonly string[]): string {
    return join(this.directory, ...names)
  }

  names(directory: string): readonly string[] {
    return existsSync(this.path(directory)) ? readdirSync(this.path(directory)).toSorted() : []
  }

  visible(sink: string): readonly string[] {
    return this.names(sink)
      .filter((name) => !name.startsWith('.'))
      .flatMap((name) => linesOf(this.path(sink, name)))
  }

  hidden(sink: string): readonly string[] {
    return this.names(sink).filter((name) => name.startsWith('.'))
  }

  /** The bodies of all log entries, oldest first. */
  log(job = 'kills'): readonly Entry[] {
    const directory = `.sluice/${job}/log`
    return this.names(directory)
      .filter((name) => /^\d+$/.test(name))
      .map((name) => JSON.parse(readFileSync(this.path(directory, name), 'utf8').split('\n')[1] ?? '') as Entry)
  }

  newest(): Entry {
    const newest = this.log().at(-1)
    ok(newest !== undefined, 'the log is empty')
    return newest
  }

  /** Rewrites the newest log entry, its checksum included, as if it had been made so. */
  changeNewest(change: (newest: Entry) => Entry): void {
    const newest = this.newest()
    const path = this.path(LOG, String(newest.seq).padStart(12, '0'))
    const body = JSON.stringify(change(newest))
    const sha256 = createHash('sha256').update(body).digest('hex')
    writeFileSync(path, `sluice-log 1 ${sha256} ${Buffer.byteLength(body)}\n${body}`)
  }

  /** Seeds a mistake into the newest checkpoint, which is sound. */
  changeCut(edit: CutEdit): void {
    this.changeNewest((newest) => {
      const manifests = newest.retained.map((one) => this.manifestOf(one))
      const last = manifests.at(-1)
      const before = manifests.at(-2)?.operators ?? []
      const partBefore = ({ operator, subtask }: OperatorFacts): OperatorFacts | undefined =>
        before.find((one) => one.operator === operator && one.subtask === subtask)
      const operators = last?.operators.map((one) => edit(one, partBefore(one))) ?? []
      const { checkpoint, final, ...facts } = newest.retained.at(-1) ?? { checkpoint: 0, final: false }
      const { key: _key, ...plain } = facts
      const isOver = operators.every(({ ended }) => ended)
      const mine = { ...plain, checkpoint, final: final && isOver, inline: { ...last, operators } }
      return { ...newest, retained: [...newest.retained.slice(0, -1), mine] }
    })
  }

  manifestOf({ inline, key }: RetainedFacts): ManifestFacts {
    return inline ?? (JSON.parse(readFileSync(this.path('.sluice', key ?? ''), 'utf8')) as ManifestFacts)
  }

  /** Are there commits that the log does not call done? */
  get isDue(): boolean {
    const { retained, committedThrough } = this.newest()
    return retained
      .filter((one) => one.checkpoint > committedThrough)
      .some((one) => this.manifestOf(one).operators.some((operator) => (operator.committables?.length ?? 0) > 0))
  }

  /** Keys in the store that no retained checkpoint names. */
  unnamedBlobs(): readonly string[] {
    const named = this.newest().retained.flatMap((one) => [
      one.key,
      ...this.manifestOf(one).operators.flatMap(({ state, operatorState }) => [
        ...(state?.blobs.map(({ key }) => key) ?? []),
        ...(operatorState !== undefined && 'blob' in operatorState ? [operatorState.blob.key] : []),
      ]),
    ])
    return this.names('.sluice/kills/blob')
      .flatMap((generation) =>
        this.names(`.sluice/kills/blob/${generation}`).map((name) => `kills/blob/${generation}/${name}`),
      )
      .filter((key) => !named.includes(key))
  }

  /**
   * At any moment: nothing twice, nothing out of order, nothing that no completed checkpoint holds (C1), all that the log calls committed
   * (C2). Returns the number of facts compared.
   */
  expectPrefix(): number {
    const counts = this.visible('counts')
    const evens = this.visible('evens')
    deepEqual(counts, expectedCounts().slice(0, counts.length))
    deepEqual(evens, expectedEvens().slice(0, evens.length))
    const newest = this.log().at(-1)
    const completed = newest?.retained.at(-1)
    const committed = newest?.retained.find((one) => one.checkpoint === newest.committedThrough)
    const most = this.#recordsOf(completed)
    const least = this.#recordsOf(committed)
    ok(counts.length <= most, `${counts.length} visible of ${most} completed`)
    ok(counts.length >= least, `${counts.length} visible of ${least} committed`)
    return counts.length + evens.length + 2
  }

  /** Everything once, in order, and nothing hidden left. Returns the number of facts compared. */
  expectComplete(): number {
    deepEqual(this.visible('counts'), expectedCounts())
    deepEqual(this.visible('evens'), expectedEvens())
    for (const sink of SINKS) deepEqual(this.hidden(sink), [])
    return expectedCounts().length + expectedEvens().length
  }

  /** Runs what is left, in other batches and another pace than before, and checks all of it. */
  async finish(options: StartOptions = {}): Promise<number> {
    await this.run(0, { ...options, settings: { ...REPLAY, ...options.settings } })
    return this.expectComplete()
  }

  /** How many records the first sink has got by that checkpoint. */
  #recordsOf(retained: RetainedFacts | undefined): number {
    if (retained === undefined) return 0
    const position = this.manifestOf(retained).operators.flatMap((one) => one.splits ?? [])[0]?.position
    ok(typeof position === 'number', `checkpoint ${retained.checkpoint} has no position`)
    return position + (retained.final ? 1 : 0)
  }

  [Symbol.dispose](): void {
    for (const run of this.#runs) run.kill()
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The replay has other batches, another pace and another interval than the first run. */
export const REPLAY = { BATCH: 33, PACE_MS: 1, INTERVAL_MS: 7 }
/** Slow enough to meet it at work. */
export const SLOW = { BATCH: 10, PACE_MS: 8 }

export interface Entry {
  readonly seq: number
  readonly kind: string
  readonly generation: number
  readonly at: number
  readonly committedThrough: number
  readonly retained: readonly RetainedFacts[]
  readonly unclean: readonly unknown[]
  readonly restarts: number
  readonly end?: { readonly state: string; readonly reason?: string }
}

export interface RetainedFacts {
  readonly checkpoint: number
  readonly final: boolean
  /** Of the manifest, when it is not in the entry. */
  readonly key?: string
  readonly inline?: ManifestFacts
}

export interface ManifestFacts {
  readonly operators: readonly OperatorFacts[]
}

export interface OperatorFacts {
  readonly operator: string
  readonly subtask: number
  readonly ended: boolean
  readonly splits?: readonly {
    readonly split: { readonly id: string }
    readonly position: unknown
    readonly ended: boolean
  }[]
  readonly state?: { readonly blobs: readonly { readonly key: string }[] }
  readonly operatorState?: OperatorStateHandle
  readonly writerState?: { readonly entries: readonly unknown[] }
  readonly committables?: readonly unknown[]
}

/** What a snapshot with a mistake would hold; `before` is the same subtask's part in the checkpoint before. */
export type CutEdit = (part: OperatorFacts, before: OperatorFacts | undefined) => OperatorFacts

/** Two at a time. @throws the first failure, with the item it happened at */
export async function inPairs<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await work(item)
      } catch (cause) {
        queue.length = 0
        throw new Error(`at ${JSON.stringify(item)}: ${String(cause)}`, { cause })
      }
    }
  }
  const results = await Promise.allSettled([worker(), worker()])
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** In CI `size` of them, spread evenly, always the same; all of them with SLUICE_KILLS=all. */
export function sampled<T>(all: readonly T[], size: number): readonly T[] {
  if (IS_LONG || all.length <= size) return all
  return all.filter(
    (_, index) => Math.floor((index * size) / all.length) !== Math.floor(((index - 1) * size) / all.length),
  )
}

/** What a test compared and what really struck, as a line of the output. */
export function tell(what: string, counts: Readonly<Record<string, number>>): void {
  const listed = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  console.log(`${what}: ${listed.join(', ')}`)
}

function linesOf(path: string): readonly string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
}

export function expectedCounts(): readonly string[] {
  const lines = Array.from({ length: COUNT }, (_, index) =>
    JSON.stringify({ index, key: `key-${index % KEYS}`, count: Math.floor(index / KEYS) + 1 }),
  )
  return [...lines, JSON.stringify({ index: -1, key: 'end', count: 1 })]
}

export function expectedEvens(): readonly string[] {
  return Array.from({ length: COUNT / 2 }, (_, index) => String(index * 2))
}
