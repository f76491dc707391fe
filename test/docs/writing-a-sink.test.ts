/** docs/writing-a-sink.md, done: its sink passes the conformance suite, its mistakes are found, its job is killed as it says. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { Workplace } from '../cli/command.ts'
import { sinkChecks, type SinkEnvironment } from '../conformance/sink.ts'
import { mistakesOf, withMistake } from './mistakes.ts'
import { SnippetProject } from './snippets.ts'

const markdown = readFileSync('docs/writing-a-sink.md', 'utf8')
const project = new SnippetProject(markdown)
afterAll(() => project[Symbol.dispose]())

// As a reader would run it.
await import(join(project.directory, 'ledger-sink.test.ts'))

describe('a mistake that the document shows is found by the checks that it names', () => {
  const mistakes = mistakesOf(markdown)

  test('there are some', () => {
    expect(mistakes.length).toBeGreaterThanOrEqual(3)
  })

  test.each(mistakes)('the one in line $line', async (mistake) => {
    using broken = new SnippetProject(withMistake(markdown, mistake))
    const { ledgerEnvironment } = (await import(join(broken.directory, 'ledger-environment.ts'))) as {
      readonly ledgerEnvironment: () => Promise<SinkEnvironment<unknown, unknown>>
    }
    const failing: string[] = []
    for (const [what, check] of Object.entries(sinkChecks)) {
      await using environment = await ledgerEnvironment()
      await check(environment).catch(() => failing.push(what))
    }
    expect(failing).toEqual(mistake.named)
  })
})

interface Payment {
  readonly account: string
  readonly cents: number
  readonly balance: number
}

/** What one run without any fault books, of each account. */
function expected(): Readonly<Record<string, readonly Payment[]>> {
  const payments: Record<string, Payment[]> = {}
  for (let index = 0; index < COUNT; index += 1) {
    const account = `account-${index % 10}`
    const before = (payments[account] ??= [])
    before.push({ account, cents: index, balance: (before.at(-1)?.balance ?? 0) + index })
  }
  return payments
}

const COUNT = 6_000
const PAUSE_MS = 20
/** Records per second: a job that lasts longer than anybody looks at it, and one that does not. */
const SLOW = 200
const FAST = 100_000

/** The ledger in a process of its own, always at the same address. */
class LedgerProcess implements Disposable {
  readonly #journal: string
  #child: ChildProcess | undefined
  url = 'http://127.0.0.1:0'

  constructor(directory: string) {
    this.#journal = join(directory, 'journal')
  }

  async start(): Promise<void> {
    const port = new URL(this.url).port || '0'
    const argv = [join(project.directory, 'ledger-server.ts'), this.#journal, port]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    this.url = await new Promise((resolve, reject) => {
      child.stdout.once('data', (said: Buffer) => resolve(said.toString().trim()))
      child.once('exit', (code) => reject(new Error(`the ledger ended with ${code}`)))
    })
  }

  async kill(): Promise<void> {
    const gone = new Promise((resolve) => this.#child?.once('exit', resolve))
    this.#child?.kill('SIGKILL')
    await gone
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(name)
  }

  async booked(): Promise<readonly Payment[]> {
    return (await (await fetch(`${this.url}/entries`)).json()) as readonly Payment[]
  }

  async hidden(): Promise<unknown> {
    return (await fetch(`${this.url}/drafts`)).json()
  }

  /** Reads what is booked until it is `count` entries; each time it must be a beginning of what is right. */
  async until(count: number, ended: () => boolean): Promise<number> {
    const right = expected()
    for (;;) {
      const isLast = ended()
      const seen = await this.booked()
      const byAccount = Object.groupBy(seen, ({ account }) => account)
      for (const [account, payments = []] of Object.entries(byAccount)) {
        assert.deepEqual(payments, right[account]?.slice(0, payments.length))
      }
      if (seen.length >= count) return seen.length
      if (isLast) throw new Error(`the job ended with ${seen.length} entries booked`)
      await sleep(PAUSE_MS)
    }
  }

  [Symbol.dispose](): void {
    this.#child?.kill('SIGKILL')
  }
}

test('its job, and its ledger, are killed: each payment is booked once, in order, and nothing hidden is left', async () => {
  using place = new Workplace()
  using ledger = new LedgerProcess(place.directory)
  await ledger.start()
  /** What the one before left due is delivered when it says that it runs. */
  const start = async (rate: number) => {
    const settings = ['--set', `ledger=${ledger.url}`, '--set', `rate=${rate}`]
    const job = place.start('run', join(project.directory, 'ledger-job.ts'), ...settings, '--json')
    await job.says('"event":"running"')
    return { child: job.child, ended: job.ended, hasEnded: () => job.child.exitCode !== null }
  }

  // Killed at work.
  let job = await start(SLOW)
  let seen = await ledger.until(1, job.hasEnded)
  job.child.kill('SIGKILL')
  await job.ended

  // Killed while the ledger does not answer: what it was asked last is done after the death of who asked.
  for (let round = 0; round < 4; round += 1) {
    job = await start(SLOW)
    seen = await ledger.until(seen + 100, job.hasEnded)
    ledger.signal('SIGSTOP')
    job.child.kill('SIGKILL')
    await job.ended
    ledger.signal('SIGCONT')
  }

  // The ledger is killed under a job that lives on.
  job = await start(SLOW)
  seen = await ledger.until(seen + 1, job.hasEnded)
  await ledger.kill()
  await ledger.start()
  await ledger.until(seen + 100, job.hasEnded)
  job.child.kill('SIGTERM')
  expect((await job.ended).code).toBe(143)

  job = await start(FAST)
  const { code, out } = await job.ended
  expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('"state":"FINISHED"') })
  await ledger.until(COUNT, () => true)
  expect(Object.groupBy(await ledger.booked(), ({ account }) => account)).toEqual(expected())
  expect(await ledger.hidden()).toEqual([])
}, 180_000)
