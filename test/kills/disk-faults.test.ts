/**
 * A disk that is full, fails or may not be written to, under a job at work (F16), and what that does to checkpoints: declined, timed out,
 * answered too late (F12), with state of abandoned epochs (F30). Every one is followed by a crash and a replay.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, FACTS, LOG, REPLAY, SLOW, tell, type Strike } from './harness.ts'
import { until } from './run.ts'

const STORE_CODES = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'] as const
let facts = 0
let faults = 0

/** Snapshots only: the log and the sinks are on another disk. */
const blobs: Readonly<Record<string, string>> = {
  'opening a file for': 'open .sluice/kills/blob/',
  writing: 'write .sluice/kills/blob/',
  'the fsync of': 'fsync .sluice/kills/blob/.*~',
  naming: 'rename .sluice/kills/blob/',
  'the fsync of the directory of': 'fsync .sluice/kills/blob/\\d+$',
}

const cases = Object.entries(blobs).flatMap(([what, match], index) =>
  STORE_CODES.filter((_, code) => code === index % 4 || code === (index + 2) % 4).map(
    (code) => [what, code, match] as const,
  ),
)

test.each(cases)(
  '%s a snapshot fails with %s: the checkpoint is declined, the job goes on, the next one holds what it did not (F16, F12, F30)',
  async (_what, code, match) => {
    using arena = new Arena()
    // Twice in a row, which is tolerated; then killed when the entry of a later one is written.
    const strikes: readonly Strike[] = [
      { match, nth: 2, times: 2, how: code },
      { match: `link ${LOG}/`, nth: 6, moment: 'after', how: 'KILL' },
    ]
    const run = await arena.run(null, { strikes })
    expect(run.struck.filter((line) => line.includes(code))).toHaveLength(2)
    faults += 3
    expect(run.said).toMatch(/checkpoint \d+ declined/)
    expect(run.events('restarting')).toEqual([])
    facts += arena.expectPrefix()
    const rest = await arena.finish()
    facts += rest
  },
)

test('a disk that is full for everything stops the job, whose last checkpoint stays good, and it recovers when space returns (F16)', async () => {
  using arena = new Arena()
  const full = arena.path('full')
  const run = arena.start({
    settings: { ...SLOW, COUNT: 240, RESTARTS: 1000 },
    strikes: ['open .*(~|part)', 'write ', 'mkdir ', 'link '].map((match) => ({
      match,
      how: 'ENOSPC' as const,
      times: 1e9,
      whileFile: full,
    })),
  })
  await until(() => run.events('completed').length > 3, 'checkpoints')
  writeFileSync(full, '')
  await until(() => run.struck.length > 10, 'the disk to be full')
  const during = arena.expectPrefix()
  await new Promise((resolve) => {
    setTimeout(resolve, 500)
  })
  expect(arena.expectPrefix()).toBe(during)
  rmSync(full)
  await run.expectCode(0)
  faults += run.struck.length
  facts += arena.expectComplete()
})

test('a disk that stays full is no reason for ever: a job killed on it starts again when space returns (F16)', async () => {
  using arena = new Arena()
  const full = arena.path('full')
  await arena.killed({ match: `link ${LOG}/`, nth: 6, moment: 'after', how: 'KILL' })
  writeFileSync(full, '')
  const before = arena.names(LOG)
  const run = await arena.run(1, { strikes: [{ match: 'write ', how: 'ENOSPC', times: 1e9, whileFile: full }] })
  expect(run.said).toContain('make room there')
  expect(arena.names(LOG)).toEqual(before)
  rmSync(full)
  faults += run.struck.length
  const rest = await arena.finish()
  facts += rest
})

test('a full disk fails the parts of a sink: the attempt starts again from the last checkpoint (F16)', async () => {
  using arena = new Arena()
  const run = await arena.run(0, {
    strikes: [
      { match: 'write counts/', nth: 4, times: 2, how: 'ENOSPC' },
      { match: 'fsync evens/', nth: 9, how: 'EIO' },
    ],
  })
  expect(run.events('restarting').length).toBeGreaterThanOrEqual(2)
  faults += run.struck.length
  facts += arena.expectComplete()
})

const logFaults: Readonly<Record<string, Strike>> = {
  'no space for an entry': { match: `write ${LOG}/`, nth: 5, times: 20, how: 'ENOSPC' },
  'an entry cannot be fsynced': { match: `fsync ${LOG}/~`, nth: 5, times: 3, how: 'EIO' },
  'an entry cannot get its name': { match: `link ${LOG}/`, nth: 5, times: 3, how: 'EROFS' },
}

test.each(Object.entries(logFaults))(
  '%s: it is tried again until it is clear, and the job goes on (F16)',
  async (_name, strike) => {
    using arena = new Arena()
    const run = await arena.run(0, { strikes: [strike] })
    expect(run.struck).toHaveLength(strike.times ?? 1)
    expect(run.events('restarting')).toEqual([])
    faults += run.struck.length
    facts += arena.expectComplete()
  },
)

test.each([1, 2, 5, 6, 8])(
  'an fsync error of the log directory at entry %i leaves it in doubt: the process exits, the next one finds out (F16)',
  async (nth) => {
    using arena = new Arena()
    const run = await arena.run(1, { strikes: [{ match: `fsync ${LOG}$`, nth, how: 'EIO' }] })
    expect(run.struck).toHaveLength(1)
    expect(run.said).toContain('may not survive a power loss')
    faults += 1
    facts += arena.expectPrefix()
    const rest = await arena.finish()
    facts += rest
  },
)

test('a checkpoint that times out is abandoned; what it prepared and its late answer hurt nothing (F12, F30)', async () => {
  using arena = new Arena()
  const run = await arena.run(null, {
    settings: { TIMEOUT_MS: 30, TOLERATED: 50 },
    strikes: [
      ...[4, 5, 7].map((nth): Strike => ({ match: 'rename .sluice/kills/blob/', nth, how: 'SLOW' })),
      { match: `link ${LOG}/`, nth: 7, moment: 'after', how: 'KILL' },
    ],
  })
  expect(run.said).toMatch(/checkpoint \d+ not acknowledged within 30 ms/)
  faults += run.struck.length
  facts += arena.expectPrefix()
  const rest = await arena.finish({ settings: REPLAY })
  facts += rest
})

test('the disks really failed', () => {
  tell('disk faults', { 'faults fired': faults, facts })
  expect(faults).toBeGreaterThan(70)
  expect(facts).toBeGreaterThan(20 * FACTS)
})
