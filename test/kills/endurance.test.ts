/** Many checkpoints, and nothing grows (F29). CI takes some hundreds; SLUICE_KILLS=all ten thousand. */
import { readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, IS_LONG, tell } from './harness.ts'
import { until, type Run } from './run.ts'

const CHECKPOINTS = IS_LONG ? 10_000 : 300
const MARKS = 5

interface Mark {
  readonly checkpoint: number
  readonly descriptors: number
  readonly residentKb: number
  readonly blobs: number
  readonly entries: number
  readonly hidden: number
}

test('files, descriptors and memory do not grow with checkpoints (F29)', { timeout: 1_200_000 }, async () => {
  using arena = new Arena()
  const run = arena.start({
    isTraced: false,
    settings: { COUNT: 1e9, BATCH: 3, PACE_MS: 0, INTERVAL_MS: 1 },
  })
  let next = 0
  // A consumer that takes everything away, and looks at it.
  const take = (): void => {
    for (const sink of ['counts', 'evens']) {
      for (const name of arena.names(sink).filter((one) => !one.startsWith('.'))) {
        const lines = readFileSync(arena.path(sink, name), 'utf8').trim().split('\n')
        unlinkSync(arena.path(sink, name))
        if (sink === 'evens') continue
        const indexes = lines.map((line) => (JSON.parse(line) as { readonly index: number }).index)
        expect(indexes).toEqual(indexes.map((_, at) => next + at))
        next += indexes.length
      }
    }
  }
  const timer = setInterval(take, 50)
  const marks: Mark[] = []
  try {
    for (let mark = 1; mark <= MARKS; mark += 1) {
      const wanted = (CHECKPOINTS * mark) / MARKS
      await until(() => checkpointOf(arena) >= wanted, `${wanted} checkpoints`, 600_000)
      marks.push(lookAt(arena, run))
    }
  } finally {
    clearInterval(timer)
  }
  run.child.kill('SIGTERM')
  await run.expectCode(143)
  take()
  const [, early, , , late] = marks
  if (early === undefined || late === undefined) throw new Error('no marks')
  tell('endurance', { checkpoints: late.checkpoint, facts: next, ...late })
  console.log(JSON.stringify(marks))
  expect(next).toBeGreaterThan(CHECKPOINTS * 3)
  expect(Math.abs(late.descriptors - early.descriptors)).toBeLessThanOrEqual(8)
  expect(late.blobs).toBeLessThan(200)
  expect(late.hidden).toBeLessThan(60)
  // Two waymarks' worth of entries and what came since.
  expect(late.entries).toBeLessThan(3_100)
  expect(late.residentKb - early.residentKb).toBeLessThan(40_000)
})

function lookAt(arena: Arena, run: Run): Mark {
  const proc = `/proc/${run.child.pid}`
  return {
    checkpoint: checkpointOf(arena),
    descriptors: readdirSync(`${proc}/fd`).length,
    residentKb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]),
    blobs: arena.names('.sluice/kills/blob/00000001').length,
    entries: arena.names('.sluice/kills/log').length,
    hidden: arena.hidden('counts').length + arena.hidden('evens').length,
  }
}

function checkpointOf(arena: Arena): number {
  const newest = arena.names('.sluice/kills/log').findLast((name) => /^\d+$/.test(name))
  if (newest === undefined) return 0
  const body = readFileSync(arena.path('.sluice/kills/log', newest), 'utf8')
  return Number(/"nextCheckpoint":(\d+)/.exec(body)?.[1] ?? 1) - 1
}
