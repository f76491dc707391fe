/** `sluice stop`, `cancel` and `checkpoints trigger` at real processes, over the socket and through the store: outcome and output exact. */
import { rmSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { until } from '../../kills/run.ts'
import { asked, AskedArena, SocketPlace, STEADY, WAYS } from './asking.ts'

const place = new SocketPlace()
afterAll(() => place[Symbol.dispose]())

/** Commits fail while a file of this name is there. */
const DOWN = 'down'
const SINK_DOWN = { match: 'rename counts/', how: 'EIO', times: 1e9, whileFile: DOWN } as const

// Most of their time they wait.
describe.concurrent('asked', () => {
  test.each(WAYS)(
    'by way of the %s a stop is answered when all is committed, and the next run goes on exactly there',
    async (way) => {
      using arena = new AskedArena()
      const run = await arena.running()
      const said = await arena.hear(way, 'stop', 'kills')
      const newest = arena.newest()
      const last = newest.retained.at(-1)?.checkpoint
      expect(newest.end).toEqual({ state: 'STOPPED' })
      expect(said).toEqual({
        event: 'stop',
        job: 'kills',
        outcome: 'ended',
        state: 'STOPPED',
        checkpoint: last,
        committedThrough: last,
        generation: 1,
        via: way,
        exitCode: 0,
      })
      await run.expectCode(0)
      expect(run.events('ended')).toEqual([{ event: 'ended', state: 'STOPPED' }])
      arena.expectPrefix()
      await arena.finish()
      expect(arena.names('.sluice/kills/control')).toEqual([])
    },
  )

  test.each(WAYS)(
    'by way of the %s a checkpoint is answered with its number once it is visible, and the job runs on',
    async (way) => {
      using arena = new AskedArena()
      const run = await arena.running({ settings: { INTERVAL_MS: 3_600_000 } }, 1)
      const { checkpoint = 0, ...said } = await arena.hear(way, 'checkpoints', 'trigger', 'kills')
      expect(said).toMatchObject({ event: 'checkpoint', outcome: 'completed', via: way, exitCode: 0 })
      expect(checkpoint).toBeGreaterThan(1)
      expect(said.durationMs).toBeGreaterThanOrEqual(0)
      const { retained, committedThrough } = arena.newest()
      expect([retained.at(-1)?.checkpoint, run.child.exitCode]).toEqual([checkpoint, null])
      // It may ride in an entry that is still to come; what is visible is.
      expect(arena.expectPrefix()).toBeGreaterThan(2)
      expect(committedThrough).toBeLessThanOrEqual(checkpoint)
      const { code, out } = await arena.ask(way, 'checkpoints', 'trigger', 'kills')
      expect(out).toMatch(
        new RegExp(`^kills: checkpoint ${checkpoint + 1} completed in \\d+ ms, all of it committed\n$`),
      )
      expect(code).toBe(0)
      expect(await arena.hear(way, 'stop', 'kills')).toMatchObject({ state: 'STOPPED', checkpoint: checkpoint + 2 })
      await run.expectCode(0)
      await arena.finish()
    },
  )

  test.each(WAYS)(
    'by way of the %s a cancel takes no checkpoint, and the next run reads again what was not in the last one',
    async (way) => {
      using arena = new AskedArena()
      const run = await arena.running({ settings: { INTERVAL_MS: 3_600_000 } }, 1)
      const said = await arena.hear(way, 'cancel', 'kills')
      expect(said).toMatchObject({ outcome: 'ended', state: 'CANCELED', checkpoint: 1, exitCode: 0 })
      await run.expectCode(0)
      expect(arena.newest()).toMatchObject({ end: { state: 'CANCELED' } })
      await arena.finish()
    },
  )

  test('a stop while a checkpoint is in flight waits for it and takes one more', async () => {
    using arena = new AskedArena()
    const run = arena.start({
      settings: STEADY,
      strikes: [{ match: 'fsync counts/', nth: 4, how: 'SLOW', slowMs: 1_000 }],
    })
    await until(() => run.struck.length > 0, 'a checkpoint to be in flight')
    const before = arena.newest().retained.at(-1)?.checkpoint ?? 0
    const said = await arena.hear('socket', 'stop', 'kills')
    expect(said).toMatchObject({ state: 'STOPPED', exitCode: 0 })
    expect(said.checkpoint).toBeGreaterThanOrEqual(before + 2)
    await run.expectCode(0)
    await arena.finish()
  })

  test('a stop while commits are tried again waits for them; others may give up waiting, or cancel the job instead', async () => {
    using arena = new AskedArena()
    const run = await arena.running({ strikes: [SINK_DOWN] })
    writeFileSync(arena.path(DOWN), '')
    const first = arena.hear('socket', 'stop', 'kills')
    await asked(run)
    const late = await arena.hear('socket', 'stop', 'kills', '--timeout', '0.5')
    expect(late).toMatchObject({ outcome: 'timed-out', code: 'SLUICE_CONTROL_TIMEOUT', exitCode: 1 })
    expect(late.reason).toMatch(/not done in time: process \d+ on .* was asked, and goes on with it/)
    expect(JSON.parse(await arena.status('--json'))).toMatchObject({ state: 'STOPPING' })
    rmSync(arena.path(DOWN))
    expect(await first).toMatchObject({ state: 'STOPPED', exitCode: 0 })
    await run.expectCode(0)
    writeFileSync(arena.path(DOWN), '')
    const next = arena.start({
      isTraced: false,
      settings: { ...STEADY, INTERVAL_MS: 20 },
      strikes: [SINK_DOWN],
    })
    await until(() => arena.isDue, 'commits to be due')
    const stopping = arena.hear('socket', 'stop', 'kills')
    await asked(next)
    expect(await arena.hear('socket', 'cancel', 'kills')).toMatchObject({ state: 'CANCELED', exitCode: 0 })
    // Something else than a stop came of it.
    expect(await stopping).toMatchObject({ state: 'CANCELED', code: 'SLUICE_CONTROL_ENDED', exitCode: 1 })
    await next.expectCode(0)
    rmSync(arena.path(DOWN))
    await arena.finish()
  })

  test('a stop while a failed attempt waits for its restart starts one for the last checkpoint', async () => {
    using arena = new AskedArena()
    const settings = { BATCH: 4, PACE_MS: 200, INTERVAL_MS: 100, POISON: 9, RESTART_MS: 600_000 }
    const run = arena.start({ isTraced: false, settings })
    await until(() => run.events('restarting').length > 0, 'an attempt to fail')
    expect(await arena.hear('socket', 'stop', 'kills')).toMatchObject({ state: 'STOPPED', exitCode: 0 })
    await run.expectCode(0)
    await arena.finish()
  })

  test('two stops at once hear the same, and a SIGTERM beside them is the same stop', async () => {
    using arena = new AskedArena()
    const run = await arena.running({ strikes: [SINK_DOWN] })
    writeFileSync(arena.path(DOWN), '')
    const both = [arena.hear('socket', 'stop', 'kills'), arena.hear('store', 'stop', 'kills')]
    await asked(run, 2)
    run.child.kill('SIGTERM')
    await until(() => run.events('stopping').length > 0, 'the signal to be heard')
    rmSync(arena.path(DOWN))
    const [first, second] = await Promise.all(both)
    expect(first).toMatchObject({ state: 'STOPPED', via: 'socket', exitCode: 0 })
    expect(second).toEqual({ ...first, via: 'store' })
    // As shells expect of a process that had a signal.
    await run.expectCode(143)
    await arena.finish()
  })

  test.each(WAYS)(
    'by way of the %s a process that is killed before it answers is told, with what is left, and nothing is lost',
    async (way) => {
      using arena = new AskedArena()
      const run = await arena.running({ strikes: [SINK_DOWN] })
      writeFileSync(arena.path(DOWN), '')
      const all = [arena.hear(way, 'stop', 'kills'), arena.hear(way, 'checkpoints', 'trigger', 'kills')]
      await asked(run, 2)
      run.child.kill('SIGKILL')
      for (const said of await Promise.all(all)) {
        expect(said).toMatchObject({ outcome: 'died', code: 'SLUICE_CONTROL_DIED', exitCode: 1 })
        expect(said.reason).toMatch(
          new RegExp(
            `process ${run.child.pid} on .* died before it answered; the log ends with checkpoint \\d+: the next run`,
          ),
        )
      }
      // Nothing runs any more: nobody is asked.
      expect(await arena.hear(way, 'stop', 'kills')).toMatchObject({
        event: 'refused',
        code: 'SLUICE_NOT_RUNNING',
        exitCode: 2,
      })
      rmSync(arena.path(DOWN))
      await arena.finish()
      expect(arena.names('.sluice/kills/control')).toEqual([])
      expect(await arena.hear(way, 'stop', 'kills')).toMatchObject({
        outcome: 'had-ended',
        state: 'FINISHED',
        via: null,
        exitCode: 0,
      })
    },
  )

  test('a request to an earlier process never acts on a later one, which sweeps it', async () => {
    using arena = new AskedArena()
    const first = await arena.running()
    first.child.kill('SIGSTOP')
    const said = await arena.hear('store', 'stop', 'kills', '--timeout', '1')
    expect(said).toMatchObject({ outcome: 'timed-out', via: 'store', exitCode: 1 })
    first.child.kill('SIGKILL')
    await first.ended
    expect(arena.names('.sluice/kills/control')).toHaveLength(1)
    const second = await arena.running({ settings: { BATCH: 8 } })
    await until(() => arena.names('.sluice/kills/control').length === 0, 'the old request to be swept')
    await second.expectCode(0)
    expect(second.events('asked')).toEqual([])
    expect(second.events('ended')).toEqual([{ event: 'ended', state: 'FINISHED' }])
    arena.expectComplete()
  })

  test('another process that takes the job over is told, and is not stopped', async () => {
    using arena = new AskedArena()
    const run = await arena.running({ strikes: [SINK_DOWN] })
    writeFileSync(arena.path(DOWN), '')
    const all = [arena.hear('socket', 'stop', 'kills'), arena.hear('store', 'stop', 'kills')]
    await asked(run, 2)
    rmSync(arena.path(DOWN))
    run.child.kill('SIGSTOP')
    const next = await arena.running({ flags: ['--take-over'] })
    run.child.kill('SIGCONT')
    for (const said of await Promise.all(all)) {
      expect(said).toMatchObject({ outcome: expect.stringMatching(/^(succeeded|broken-off)$/), exitCode: 1 })
    }
    await run.expectCode(3)
    expect(next.events('asked')).toEqual([])
    expect(await arena.hear('socket', 'stop', 'kills')).toMatchObject({ state: 'STOPPED', generation: 2 })
    await next.expectCode(0)
    await arena.finish()
  })

  test('an asker that goes away changes nothing: what it asked for is done', async () => {
    using arena = new AskedArena()
    const run = await arena.running({ strikes: [SINK_DOWN] })
    writeFileSync(arena.path(DOWN), '')
    const gone = arena.ask('socket', 'stop', 'kills', '--timeout', '0.5')
    await asked(run)
    expect((await gone).code).toBe(1)
    rmSync(arena.path(DOWN))
    await run.expectCode(0)
    expect(arena.newest().end).toEqual({ state: 'STOPPED' })
    await arena.finish()
  })
})
