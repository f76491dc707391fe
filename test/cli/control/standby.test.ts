/** `sluice run --standby`: takes over when the leader is gone, ends when it ends the job, and never beside one that lives. */
import { afterAll, describe, expect, test } from 'vitest'
import { memoryStore } from '../../../checkpoint-store/memory.ts'
import { FencedError, type Runtime } from '../../../engine/api/index.ts'
import { encodeLogEntry, logKey, type LogEntry } from '../../../engine/checkpoint/log-entry.ts'
import type { RunEnd } from '../../../engine/coordinator/run-job.ts'
import { nodeRuntime } from '../../../engine/host/node-runtime.ts'
import { Control } from '../../../cli/control/control.ts'
import { encodeMessage, mailboxOf } from '../../../cli/control/protocol.ts'
import { standBy } from '../../../cli/standby.ts'
import { sampleEntry } from '../../checkpoint/samples.ts'
import type { StartOptions } from '../../kills/harness.ts'
import { type Run, until } from '../../kills/run.ts'
import { runtime } from '../../task/attempt.ts'
import { AskedArena, SocketPlace, STEADY, STOP } from './asking.ts'

const place = new SocketPlace()
afterAll(() => place[Symbol.dispose]())

/** From the death of the leader to the first checkpoint of the next one; a start of a process is not in it. */
const TAKEOVER_MS = 15_000

/** The leader is stopped meanwhile: however long it takes, it neither ends nor fails before somebody stands by. */
async function standingBy(arena: AskedArena, leader: Run, options: StartOptions = {}): Promise<Run> {
  leader.child.kill('SIGSTOP')
  const run = arena.start({ isTraced: false, flags: ['--standby'], ...options })
  await until(() => run.events('standing-by').length > 0, 'it to stand by', 60_000)
  leader.child.kill('SIGCONT')
  return run
}

// Most of their time they wait.
describe.concurrent('a standby', () => {
  test('takes over from a leader that is killed; of two one does, and the other goes on standing by', async () => {
    using arena = new AskedArena()
    const leader = await arena.running()
    const settings = { ...STEADY, INTERVAL_MS: 100 }
    const both = [await standingBy(arena, leader, { settings }), await standingBy(arena, leader, { settings })]
    expect(both.map((run) => run.events('standing-by'))).toEqual(
      both.map(() => [
        expect.objectContaining({ leader: expect.objectContaining({ generation: 1, pid: leader.child.pid }) }),
      ]),
    )
    const diedAtMs = performance.now()
    leader.child.kill('SIGKILL')
    await until(() => both.some((run) => run.events('completed').length > 0), 'one to take over')
    const tookMs = performance.now() - diedAtMs
    console.log(`takeover on the same machine, until the first checkpoint: ${Math.round(tookMs)} ms`)
    expect(tookMs).toBeLessThan(TAKEOVER_MS)
    const [winner, other] = both[0]?.events('running').length === 1 ? both : both.toReversed()
    await until(() => other?.events('standing-by').length === 2, 'the other to stand by again')
    expect(other?.events('running')).toEqual([])
    expect(arena.log().filter(({ kind }) => kind === 'started')).toHaveLength(2)
    winner?.child.kill('SIGKILL')
    await other?.expectCode(0)
    expect(other?.events('running')).toEqual([{ event: 'running', generation: 3, restored: expect.any(Number) }])
    arena.expectComplete()
  })

  test.each([
    ['stopped', STOP, 'STOPPED'],
    ['drained', [...STOP, '--drain'], 'FINISHED'],
    ['canceled', ['cancel', 'kills'], 'CANCELED'],
  ] as const)('ends with 0 when the job is %s', async (_, verb, state) => {
    using arena = new AskedArena()
    const leader = await arena.running()
    const standby = await standingBy(arena, leader)
    expect(await arena.hear('socket', ...verb)).toMatchObject({ state, exitCode: 0 })
    await leader.expectCode(0)
    await standby.expectCode(0)
    expect(standby.events('ended')).toEqual([{ event: 'ended', state }])
    expect(standby.events('running')).toEqual([])
  })

  test('ends with 1 and the reason when the job has failed', async () => {
    using arena = new AskedArena()
    const settings = { BATCH: 2, POISON: 60, RESTARTS: 0 }
    const leader = await arena.running({ settings }, 1)
    const standby = await standingBy(arena, leader, { settings })
    await leader.expectCode(1)
    await standby.expectCode(1)
    expect(standby.events('ended')).toEqual([
      { event: 'ended', state: 'FAILED', reason: expect.stringMatching(/cannot take 60/) },
    ])
  })

  test('does not take over from a leader that is stopped and may wake up; a signal ends it at once', async () => {
    using arena = new AskedArena()
    const leader = await arena.running()
    const standby = await standingBy(arena, leader)
    leader.child.kill('SIGSTOP')
    // Longer than it would watch a log that it knows nothing else of.
    const before = performance.now()
    await until(() => performance.now() - before > 4_000, 'a while')
    expect(standby.events('running')).toEqual([])
    standby.child.kill('SIGTERM')
    await standby.expectCode(143)
    leader.child.kill('SIGCONT')
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', generation: 1 })
    await leader.expectCode(0)
  })

  test('where nobody leads it runs at once; together with what a person decides about the job it is refused', async () => {
    using arena = new AskedArena()
    for (const flags of [
      ['--take-over'],
      ['--restore', 'none'],
      ['--restore', '3'],
      ['--accept-loss', '3'],
      ['--drop', 'totals'],
    ]) {
      const refused = await arena.run(2, { isTraced: false, flags: ['--standby', ...flags] })
      expect(refused.events('refused')).toMatchObject([{ code: 'SLUICE_USAGE' }])
    }
    const run = await arena.run(0, { isTraced: false, flags: ['--standby'] })
    expect(run.events('standing-by')).toEqual([])
    arena.expectComplete()
  })
})

/** A log that a leader on another host writes, by a clock that goes on when somebody sleeps. */
class OtherHost {
  readonly store = memoryStore()
  readonly runtime: Runtime
  nowMs = 0
  led: string[] = []
  #newest: LogEntry
  /** Called as time passes. */
  atMs: (nowMs: number) => Promise<void> = () => Promise.resolve()

  constructor() {
    this.#newest = sampleEntry({ seq: 1, kind: 'started' })
    this.runtime = {
      ...runtime,
      clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
      timers: {
        ...runtime.timers,
        sleep: async (ms) => {
          this.nowMs += ms
          await this.atMs(this.nowMs)
        },
      },
    }
  }

  async append(part: Partial<LogEntry>): Promise<void> {
    const { end: _end, ...before } = this.#newest
    this.#newest = { ...before, seq: before.seq + 1, nonce: `nonce${before.seq}`, kind: 'alive', ...part }
    await this.store.create(logKey(this.#newest.job, this.#newest.seq), encodeLogEntry(this.#newest))
  }

  async standBy(lead: () => Promise<RunEnd>): Promise<RunEnd> {
    await this.store.create(logKey(this.#newest.job, 1), encodeLogEntry(this.#newest))
    return standBy({
      job: this.#newest.job,
      store: this.store,
      runtime: this.runtime,
      signal: new AbortController().signal,
      isHolderAlive: () => Promise.resolve(null),
      onLeader: ({ generation, holder }) => this.led.push(`${generation} ${holder.socket}`),
      lead,
      hasLed: () => false,
    })
  }
}

describe('a standby on another host', () => {
  test('waits as long as entries come, and leads when none has come for its watch', async () => {
    const other = new OtherHost()
    other.atMs = async (nowMs) => {
      if (nowMs <= 60_000 && nowMs % 1_500 === 0) await other.append({})
    }
    expect(await other.standBy(() => Promise.resolve({ state: 'STOPPED' }))).toEqual({ state: 'STOPPED' })
    expect(other.nowMs).toBeGreaterThanOrEqual(63_000)
    expect(other.nowMs).toBeLessThan(64_000)
  })

  test('goes on standing by when another one is first, and hears how that one ends the job', async () => {
    const other = new OtherHost()
    let isLed = false
    other.atMs = async (nowMs) => {
      if (isLed && nowMs > 20_000) await other.append({ kind: 'ended', end: { state: 'FAILED', reason: 'no luck' } })
    }
    const lead = async (): Promise<RunEnd> => {
      isLed = true
      const { holder } = sampleEntry({ seq: 1, kind: 'started' })
      await other.append({
        kind: 'started',
        generation: 9 as LogEntry['generation'],
        holder: { ...holder, socket: 'another' },
      })
      other.nowMs = 20_000
      throw new FencedError('another one was first')
    }
    expect(await other.standBy(lead)).toEqual({ state: 'FAILED', reason: 'no luck', cause: undefined })
    expect(other.led.at(-1)).toBe('9 another')
  })

  test('does not start a job again that was ended while it tried to lead', async () => {
    const other = new OtherHost()
    let tries = 0
    const lead = async (): Promise<RunEnd> => {
      tries += 1
      if (tries > 1) throw new Error('the job was stopped, and it starts it again')
      await other.append({ kind: 'ended', end: { state: 'STOPPED' } })
      throw new FencedError('it is run by another one')
    }
    expect(await other.standBy(lead)).toEqual({ state: 'STOPPED' })
  })

  test('hears an ending that another start has followed already', async () => {
    const other = new OtherHost()
    other.atMs = async (nowMs) => {
      if (nowMs !== 500) return
      await other.append({ kind: 'ended', end: { state: 'STOPPED' } })
      await other.append({ kind: 'started', generation: 9 as LogEntry['generation'] })
    }
    expect(await other.standBy(() => Promise.reject(new Error('it must not lead')))).toEqual({ state: 'STOPPED' })
  })
})

test.each(['stop', 'drain', 'cancel'] as const)(
  'a %s asked of a run that was fenced does not end the next run of that process',
  async (verb) => {
    const store = memoryStore()
    const { job, generation, holder: sample } = sampleEntry({ seq: 1, kind: 'started' })
    const holder = { ...sample, socket: `sluice-${'0'.repeat(32)}` }
    await using control = new Control()
    const heard = Promise.withResolvers<void>()
    await control.open({ job, store, runtime: nodeRuntime(), holder, way: 'store', onAsked: () => heard.resolve() })
    const asked = control.begin()
    const request = encodeMessage({ job, verb, generation })
    await store.create(mailboxOf(job, holder)?.requestKey(1) ?? '', Buffer.from(request))
    await heard.promise
    const isAborted = (signals: typeof asked): readonly boolean[] =>
      [signals.stopSignal, signals.drainSignal, signals.cancelSignal].map((signal) => signal.aborted)
    expect(isAborted(asked)).toContain(true)
    expect(isAborted(control.begin())).toEqual([false, false, false])
    control.stop(new Error('SIGTERM'))
    expect(isAborted(control.begin())).toEqual([true, false, false])
  },
)
