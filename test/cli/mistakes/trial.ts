/**
 * One mistake of a new user, tried: files in an empty directory, commands run there, and what was answered, as one text in which all that
 * differs between runs has a name. The answers that were judged good are in the .txt file of each table.
 */
import assert from 'node:assert/strict'
import { chmodSync, closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test, type TestContext } from 'vitest'
import type { JobStatus } from '../../../engine/coordinator/status.ts'
import { Workplace, type Ended, type Running } from '../command.ts'

/** Root may write everywhere; nobody may not. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534 } : {}

export class Trial implements Disposable {
  readonly place = new Workplace()
  readonly #said: string[] = []
  readonly #permitted: string[] = []

  write(file: string, text: string): void {
    this.place.write(file, text)
  }

  rename(path: string, to: string): void {
    renameSync(join(this.place.directory, path), join(this.place.directory, to))
  }

  remove(path: string): void {
    rmSync(join(this.place.directory, path), { recursive: true })
  }

  /** `mode` for a file or directory here; '.' is the directory itself. */
  permit(path: string, mode: number): void {
    const changed = join(this.place.directory, path)
    chmodSync(changed, mode)
    this.#permitted.push(changed)
  }

  /** Takes all the room that is left on the disk of `path`. */
  fill(path: string): void {
    const block = Buffer.alloc(4096)
    const file = openSync(join(this.place.directory, path), 'w')
    try {
      for (;;) writeSync(file, block)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    } finally {
      closeSync(file)
    }
  }

  /** As a user who is not root; the test is skipped where that user cannot read the checkout. */
  async sluiceAsNobody(context: TestContext, ...argv: readonly string[]): Promise<Ended> {
    if ((await this.place.startAs(NOBODY, '--version').ended).code !== 0) context.skip()
    return await this.note(this.place.startAs(NOBODY, ...argv), argv)
  }

  /** Runs to its end, and notes the answer. */
  async sluice(...argv: readonly string[]): Promise<Ended> {
    return await this.note(this.place.start(...argv), argv)
  }

  async note(run: Running, argv: readonly string[]): Promise<Ended> {
    const ended = await run.ended
    this.#said.push(`$ sluice ${argv.join(' ')}`, `${ended.out}${ended.err}`.trimEnd(), `exit code ${ended.code}`)
    return ended
  }

  /** Resolves once the run of `shop` has read its input, and what came of it is committed for good. */
  async settled(): Promise<void> {
    for (const deadlineMs = performance.now() + 50_000; performance.now() < deadlineMs;) {
      const { code, out } = await this.place.sluice('status', 'shop', '--json')
      const found = (code === 0 ? JSON.parse(out) : {}) as Partial<JobStatus>
      const read = found.lastCompleted?.sourcePositions[0]?.position as { readonly byte: number } | undefined
      if (read?.byte !== INPUT.length) continue
      const { checkpoint = Infinity } = found.lastCompleted ?? {}
      await this.#committed(checkpoint)
      return
    }
    throw new Error('the job did not read its input')
  }

  async #committed(checkpoint: number): Promise<void> {
    for (const deadlineMs = performance.now() + 50_000; performance.now() < deadlineMs;) {
      const { out } = await this.place.sluice('status', 'shop', '--json')
      if ((JSON.parse(out) as JobStatus).committedThrough >= checkpoint) return
    }
    throw new Error(`checkpoint ${checkpoint} was not committed`)
  }

  /** Ends a run as Ctrl-C does. */
  async stop(run: Running): Promise<void> {
    run.child.kill('SIGTERM')
    const { code, err } = await run.ended
    assert.equal(code, 143, err)
  }

  /** Notes how many records a reader sees in a directory. */
  noteVisible(directory: string): void {
    this.#said.push(`${directory} shows ${this.place.visible(directory).length} records`)
  }

  /** What was answered to all that was run. */
  get answer(): string {
    return anonymous(this.#said.join('\n').replaceAll(this.place.directory, '<here>'))
  }

  [Symbol.dispose](): void {
    // Who is not root could not remove it otherwise.
    for (const path of this.#permitted.toReversed()) chmodSync(path, 0o755)
    this.place[Symbol.dispose]()
  }
}

type Make = (trial: Trial, context: TestContext) => Promise<unknown>
export type Mistakes = Readonly<Record<string, Make>>

/** Makes each mistake of a table, and compares the answer with the one that was judged. */
export function tryMistakes(file: string, mistakes: Mistakes): void {
  const answers = judged(file)
  test.for(Object.entries(mistakes))('%s', async ([mistake, make], context) => {
    using trial = new Trial()
    await make(trial, context)
    expect(trial.answer).toBe(answers.get(mistake))
  })

  test('every judged answer is to a mistake that is made here', () => {
    expect([...answers.keys()]).toEqual(Object.keys(mistakes))
  })
}

/** A mistake that is made with one job file and one command. */
export function wrongJob(text: string, ...argv: readonly string[]): Make {
  return async (trial) => {
    trial.write('job.ts', text)
    trial.write('in.ndjson', INPUT)
    await trial.sluice('run', 'job.ts', ...argv)
  }
}

export const INPUT = Array.from({ length: 20 }, (_, index) => `{"id":"k${index}","cents":${index}}\n`).join('')

export const SOURCE = `flow.source('orders', fileSource({ path: 'in.ndjson', decode: json<Order>() }))`
/** Never ends by itself. */
export const FOLLOWED = `flow.source('orders', fileSource({ path: 'in.ndjson', follow: true, decode: json<Order>() }))`
export const SINK = `.sink('out', fileSink({ path: 'out', encode: json() }))`

/** A job file around what `build` does. */
export function job(build: string, options = ''): string {
  return `import { defineJob, json, list, value } from 'sluice'
import { fileSink } from 'sluice/sinks/file'
import { fileSource } from 'sluice/sources/file'

interface Order {
  id: string
  cents: number
}

export default defineJob({
  id: 'shop',${options === '' ? '' : `\n  ${options},`}
  build(flow, settings) {
    ${build}
  },
})
`
}

/** The judged answers of a table, by mistake: a line \`== mistake\`, and below it what was run and answered. */
function judged(file: string): ReadonlyMap<string, string> {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8')
  const sections = text.split(/^== /m).slice(1)
  return new Map(
    sections.map((section) => {
      const end = section.indexOf('\n')
      return [section.slice(0, end), section.slice(end + 1).trim()] as const
    }),
  )
}

function anonymous(answer: string): string {
  return (
    answer
      .replaceAll(` on ${hostname()} `, ' on <host> ')
      .replace(/\b(process|pid) \d+/g, '$1 <pid>')
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<date>')
      .replace(/\b(from checkpoint) \d+/g, '$1 <n>')
      .replace(/"(durationMs|alignedMs)":\d+/g, '"$1":"<ms>"')
      // What is told of a run that is well comes as it comes.
      .replace(/^(?:\{"event":"progress"|read \d+ records?, wrote |[a-z]+ .* · |\d\d:\d\d:\d\d\.\d{3} INFO ).*\n/gm, '')
      .replace(/--[a-z0-9]{12}--/g, '--<lineage>--')
      .replace(/\/log\/\d{12}/g, '/log/<entry>')
      .replace(/\/probe\/[a-z0-9]+/g, '/probe/<name>')
  )
}
