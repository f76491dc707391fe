/** Barriers that wait for a slow branch, through the real command: checkpoints complete, and what the waiting costs is bounded and told. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace } from './command.ts'

const JOB = fileURLToPath(new URL('slow-branch.job.ts', import.meta.url))
const COUNT = 15_000
/** What lies in the channel before the slow branch, and what is on its way there. */
const BEHIND_RECORDS = 4_096 + 2 * 4_096

interface Completed {
  readonly event: string
  readonly checkpoint: number
  readonly durationMs: number
  readonly alignedMs: number
}

test('a checkpoint over a slow and a fast branch completes; its alignment takes what lies before the slow one, and --json says it (C8)', async () => {
  using place = new Workplace()
  place.write('in.ndjson', Array.from({ length: COUNT }, (_, n) => `{"n":${n}}\n`).join(''))
  const startedAtMs = performance.now()
  const { code, out } = await place.sluice('run', JOB, '--parallelism', '2', '--json')
  const tookMs = performance.now() - startedAtMs
  expect(code).toBe(0)
  const completed = out
    .split('\n')
    .filter((line) => line.startsWith('{"event":"completed"'))
    .map((line) => JSON.parse(line) as Completed)
  console.log(`alignment: ${completed.map(({ alignedMs, durationMs }) => `${alignedMs}/${durationMs}`).join(' ')} ms`)
  expect(completed.length).toBeGreaterThanOrEqual(4)
  const longest = Math.max(...completed.map(({ alignedMs }) => alignedMs))
  expect(longest).toBeGreaterThan(20)
  // Whatever a record costs here and now, it is no more than so many records of the whole run.
  expect(longest).toBeLessThan(tookMs * (BEHIND_RECORDS / COUNT))
  for (const { alignedMs, durationMs } of completed) expect(durationMs).toBeGreaterThanOrEqual(alignedMs)
  const lines = place.visible('out').map((line) => JSON.parse(line) as readonly [number, number])
  expect(lines.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])).toEqual(
    Array.from({ length: 2 * COUNT }, (_, index) => [index >> 1, (index % 2) + 1]),
  )
})
