/**
 * Two processes and one job: stopped and woken zombies (F14), double starts (F13), a consumer that takes files at once (F33), damaged
 * checkpoints (F15), signals (F25).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Arena, type Run } from './harness.ts'

const SLOW = { KILLS_PACE_MS: '8', KILLS_BATCH: '10' }
const POINTS = [140, 171, 202, 233, 264, 295, 326, 357]

async function until(fact: () => boolean, what: string, deadlineMs = 20_000): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs
  while (!fact()) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
}

function isStopped(run: Run): boolean {
  const stat = existsSync(`/proc/${run.child.pid}/stat`) ? readFileSync(`/proc/${run.child.pid}/stat`, 'utf8') : ''
  return /\) T /.test(stat)
}

test(
  'a process stopped at an effect and woken after its successor ran hurts nothing and exits',
  { timeout: 120_000 },
  async () => {
    let stopped = 0
    for (const point of POINTS) {
      using arena = new Arena()
      const zombie = arena.start({ env: SLOW, kill: `${point}:${point % 2 === 0 ? 'before' : 'after'}:STOP` })
      const end = zombie.ended
      await Promise.race([until(() => isStopped(zombie), 'the process to stop'), end])
      if (!isStopped(zombie)) continue
      stopped += 1
      const refused = arena.start()
      await refused.expectCode(3)
      await arena.start({ flags: ['--take-over'], env: { KILLS_BATCH: '31' } }).expectCode(0)
      const facts = arena.expectComplete()
      zombie.child.kill('SIGCONT')
      expect((await end).code).toBe(3)
      // What it may have prepared after waking stays hidden, until a start that cleans it.
      expect(arena.expectPrefix()).toBe(facts)
    }
    expect(stopped).toBeGreaterThanOrEqual(POINTS.length - 1)
  },
)

test('two processes started at once: one runs, the other exits 3 and fences nobody', { timeout: 120_000 }, async () => {
  const times = process.env['SLUICE_KILLS'] === 'all' ? 50 : 6
  for (let time = 0; time < times; time += 1) {
    using arena = new Arena()
    const [a, b] = await Promise.all([arena.start({ env: SLOW }).ended, arena.start({ env: SLOW }).ended])
    expect(new Set([a.code, b.code])).toEqual(new Set([0, 3]))
    arena.expectComplete()
  }
})

test('a consumer that takes visible files at once never sees one twice', { timeout: 120_000 }, async () => {
  for (const point of [150, 190, 231, 272, 313]) {
    using arena = new Arena()
    const taken = join(arena.directory, 'taken')
    mkdirSync(taken)
    const take = (): void => {
      for (const sink of ['counts', 'evens']) {
        const directory = join(arena.directory, sink)
        if (!existsSync(directory)) continue
        for (const name of readdirSync(directory)) {
          if (name.startsWith('.')) continue
          expect(existsSync(join(taken, name))).toBe(false)
          renameSync(join(directory, name), join(taken, name))
        }
      }
    }
    const timer = setInterval(take, 2)
    await arena.start({ kill: `${point}:after:KILL` }).ended
    await arena.start({ kill: `${point - 33}:before:KILL` }).ended
    await arena.start().expectCode(0)
    clearInterval(timer)
    take()
    const counts = readdirSync(taken)
      .filter((name) => name.includes('counts'))
      .toSorted()
      .flatMap((name) => readFileSync(join(taken, name), 'utf8').trim().split('\n'))
    expect(counts.length).toBe(601)
    expect(new Set(counts).size).toBe(601)
  }
})

test.each(['truncated', 'flipped', 'empty'])(
  'a %s newest log entry is refused by name, without falling back',
  async (damage) => {
    using arena = new Arena()
    await arena.start({ kill: '260:after:KILL' }).ended
    const log = join(arena.directory, '.sluice', 'kills', 'log')
    const newest = join(
      log,
      readdirSync(log)
        .filter((name) => /^\d+$/.test(name))
        .toSorted()
        .at(-1) ?? '',
    )
    const bytes = readFileSync(newest)
    if (damage === 'truncated') truncateSync(newest, bytes.length - 10)
    if (damage === 'empty') writeFileSync(newest, '')
    if (damage === 'flipped') {
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1
      writeFileSync(newest, bytes)
    }
    const run = arena.start()
    await run.expectCode(2)
    expect(run.output + run.errors).toContain('kills/log/')
  },
)

test('a signal stops with a last checkpoint, and the next run goes on exactly there', async () => {
  using arena = new Arena()
  const run = arena.start({ env: SLOW })
  await until(() => run.output.split('"completed"').length > 4, 'some completed checkpoints')
  run.child.kill('SIGTERM')
  await run.expectCode(143)
  expect(arena.expectPrefix()).toBeGreaterThan(0)
  await arena.start().expectCode(0)
  arena.expectComplete()
})
