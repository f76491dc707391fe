/** `sluice status` for people: everything that the store says, before, while and after a process runs the job. */
import { copyFileSync, appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { statusText } from '../../cli/status-text.ts'
import type { ShownStatus } from '../../cli/status.ts'
import { ENDLESS, Workplace, type Running } from './command.ts'

async function runningEndless(place: Workplace): Promise<Running> {
  copyFileSync(ENDLESS, join(place.directory, 'endless.job.ts'))
  const run = place.start('run', 'endless.job.ts', '--json')
  await run.says('"completed","checkpoint":4')
  return run
}

/** Its lines by label; lines without one belong to the label before. */
function linesOf(text: string): ReadonlyMap<string, readonly string[]> {
  const lines = new Map<string, string[]>()
  let label = ''
  for (const line of text.trimEnd().split('\n').slice(1)) {
    label = line.slice(2, 16).trim() || label
    lines.set(label, [...(lines.get(label) ?? []), line.slice(16)])
  }
  return lines
}

test('of a job that runs: who runs it, how far behind the visible output is, and what is kept', async () => {
  using place = new Workplace()
  const run = await runningEndless(place)
  const { out } = await place.sluice('status', 'endless.job.ts')
  expect(out).toMatch(new RegExp(`^endless: RUNNING, process ${run.child.pid} on \\S+ runs it\n`))
  const lines = linesOf(out)
  expect(lines.get('visible')).toEqual([expect.stringMatching(/^through checkpoint \d+, lag \d.* m?s$/)])
  expect(lines.get('records')).toEqual(['read 10 (numbers)', 'visible 10 (out)'])
  expect(lines.get('retained')?.[0]).toMatch(/^\d+ \(0 B of state\), \d+ \(0 B of state\), \d+ \(0 B of state\)$/)
  expect(lines.get('positions')).toEqual(['numbers numbers: 10'])
  expect(lines.get('code')).toEqual([expect.stringMatching(/^[0-9a-f]{32}, as the job file is now$/)])
  // What is its own is not left behind.
  expect(lines.get('left behind')).toBeUndefined()
})

test('of one that was killed and edited: what is due and left behind, and that the code is another', async () => {
  using place = new Workplace()
  const run = await runningEndless(place)
  run.child.kill('SIGKILL')
  await run.ended
  appendFileSync(join(place.directory, 'endless.job.ts'), '// another day\n')
  const { out } = await place.sluice('status', 'endless.job.ts')
  expect(out).toMatch(/^endless: RUNNING, no process runs it \(the last one was process \d+ on \S+\)\n/)
  const lines = linesOf(out)
  expect(lines.get('left behind')).toEqual(['hidden output of out, generation 1: the next start takes it away'])
  expect(lines.get('code')?.[0]).toMatch(
    /^[0-9a-f]{32}; the job file is [0-9a-f]{32} now: it was changed since the run began$/,
  )
  const told = JSON.parse((await place.sluice('status', 'endless.job.ts', '--json')).out) as ShownStatus
  expect(told.jobFile?.isSame).toBe(false)
  expect(told.jobFile?.codeIdentity).not.toBe(told.codeIdentity)
  expect(told.unclean).toEqual([{ operator: 'out', since: 1, generation: 1 }])
  // By the id alone nothing is said of a file.
  expect(JSON.parse((await place.sluice('status', 'endless', '--json')).out)).not.toHaveProperty('jobFile')
})

test('--watch looks again until nobody reads it any more: lag and checkpoints go on', async () => {
  using place = new Workplace()
  const run = await runningEndless(place)
  const watch = place.start('status', 'endless', '--watch', '--json')
  let out = ''
  watch.child.stdout?.on('data', (data: Buffer) => (out += data.toString()))
  await expect.poll(() => out.split('\n').length, { timeout: 20_000 }).toBeGreaterThan(2)
  watch.child.stdout?.destroy()
  expect((await watch.ended).code).toBe(0)
  const [first, second] = out.split('\n').map((line) => (line === '' ? undefined : (JSON.parse(line) as ShownStatus)))
  expect(second?.visible.checkpoint).toBeGreaterThan(first?.visible.checkpoint ?? Infinity)
  const asText = place.start('status', 'endless', '--watch')
  await asText.says('\n\nendless: RUNNING')
  asText.child.kill('SIGINT')
  await asText.ended
  expect(run.child.exitCode).toBeNull()
})

const FACTS: ShownStatus = {
  job: 'orders',
  lineage: 'abcdefgh',
  state: 'RESTARTING',
  generation: 7,
  parallelism: 2,
  lastCompleted: { checkpoint: 41, at: '2026-01-02T03:04:05.000Z', sourcePositions: [] },
  committedThrough: 39,
  alive: null,
  holder: { pid: 4242, host: 'far' },
  at: '2026-01-02T03:04:06.000Z',
  visible: { checkpoint: 39, triggeredAt: '2026-01-02T03:04:00.000Z' },
  records: { read: { orders: 1_234_567 }, visible: { totals: 9, enriched: 8 } },
  retained: [
    { checkpoint: 39, generation: 6, at: '2026-01-02T03:04:00.100Z', final: false, stateBytes: null },
    { checkpoint: 40, generation: 7, at: '2026-01-02T03:04:03.000Z', final: false, stateBytes: 5_000 },
    { checkpoint: 41, generation: 7, at: '2026-01-02T03:04:05.000Z', final: true, stateBytes: 3_500_000 },
  ],
  due: [
    { checkpoint: 40, commits: null },
    { checkpoint: 41, commits: { totals: 2, enriched: 1 } },
  ],
  unclean: [
    { operator: 'totals', since: 4, generation: 6 },
    { operator: 'totals', since: 7, generation: 7 },
  ],
  restarts: 1,
  codeIdentity: 'c0de',
  settings: { input: 'in', day: '2026-01-02' },
  failure: 'the sink is down',
  failures: [{ at: '2026-01-02T03:03:00.000Z', generation: 6, message: 'lost\n    at somewhere' }],
}

test('all of it has its place', () => {
  expect(statusText(FACTS, Date.parse('2026-01-02T03:04:07.500Z')).split('\n')).toEqual([
    'orders: RESTARTING, whether process 4242 on far still runs it cannot be seen from here; it wrote to the log at ' +
      '2026-01-02T03:04:06.000Z',
    '  generation    7, 1 restart, lineage abcdefgh',
    '  parallelism   2',
    '  visible       through checkpoint 39, lag 7.5 s',
    '  records       read 1.23M (orders)',
    '                visible 9 (totals)',
    '                visible 8 (enriched)',
    '  checkpoint    41, completed at 2026-01-02T03:04:05.000Z',
    '  retained      39 (cannot be read), 40 (4.88 KiB of state), 41, the final one (3.34 MiB of state)',
    '  due           checkpoint 40: its commits cannot be read',
    '                checkpoint 41: 2 commits of totals, 1 commit of enriched',
    '  left behind   hidden output of totals, generations 4 to 6: the next start takes it away',
    '  settings      input = in',
    '                day = 2026-01-02',
    '  code          c0de',
    '  failure       the sink is down',
    '  failed before 2026-01-02T03:03:00.000Z generation 6: lost',
  ])
})

test('nothing visible is said as it is, and many splits do not fill the screen', () => {
  const sourcePositions = Array.from({ length: 30 }, (_, index) => ({
    operator: 'orders',
    split: `${index}.ndjson`,
    position: { byte: index },
    ended: index === 0,
  }))
  const lastCompleted = { checkpoint: 1, at: '2026-01-02T03:04:05.000Z', sourcePositions }
  const nothing = { checkpoint: null, triggeredAt: null }
  const lines = linesOf(statusText({ ...FACTS, lastCompleted, visible: nothing, committedThrough: 0 }, 0))
  expect(lines.get('visible')).toEqual(['nothing yet'])
  expect(lines.get('positions')).toHaveLength(21)
  expect(lines.get('positions')?.slice(0, 2)).toEqual(['orders 0.ndjson: ended', 'orders 1.ndjson: {"byte":1}'])
  expect(lines.get('positions')?.at(-1)).toBe('and 10 more, with --json')
})
