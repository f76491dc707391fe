/** `sluice run --workers` as a shell sees it: signals, the death of the command, and what it refuses. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { COMMAND, Running, Workplace } from '../cli/command.ts'
import { childrenOf, COUNTS, isThere } from './worker-run.ts'

const ROUTES = fileURLToPath(new URL('routes.job.ts', import.meta.url))
const ENDLESS = ['run', COUNTS, '--set', 'rate=20000', '--json']

function visible(place: Workplace): readonly { readonly index: number }[] {
  const directory = join(place.directory, 'counts')
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').trim().split('\n'))
    .map((line) => JSON.parse(line) as { readonly index: number })
}

/** Each once, none left out. Returns how many. */
function expectExact(place: Workplace): number {
  const indexes = visible(place).map(({ index }) => index)
  expect(indexes.toSorted((a, b) => a - b)).toEqual(indexes.map((_, index) => index))
  return indexes.length
}

test('a job runs in workers and exits as it does without them', async () => {
  using place = new Workplace()
  const ended = await place.sluice('run', COUNTS, '--set', 'count=5000', '--workers', '2')
  expect(ended).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringMatching(/running, generation 1\n[\s\S]*finished\n$/),
  })
  expect(expectExact(place)).toBe(5_000)
  expect((await place.sluice('run', COUNTS, '--workers', '3')).err).toMatch(/has finished before/)
})

test('every kind of route gives the same in one process, in workers, and in workers that are killed (C2)', async () => {
  const outputs: (readonly string[])[] = []
  for (const [workers, parallelism, kills] of [
    [undefined, 1, 0],
    [3, 4, 0],
    [2, 3, 3],
  ] as const) {
    using place = new Workplace()
    const rate = kills === 0 ? [] : ['--set', 'rate=6000']
    const flags = [...rate, ...(workers === undefined ? [] : ['--workers', String(workers)])]
    const run = place.start('run', ROUTES, '--json', '--parallelism', String(parallelism), ...flags)
    for (let kill = 1; kill <= kills; kill += 1) {
      await run.says(`"running","generation":${kill}`)
      await setTimeout(kill * 20)
      process.kill(childrenOf(run.child.pid ?? 0)[kill % 2] ?? 0, 'SIGKILL')
    }
    const ended = await run.ended
    expect(ended.code).toBe(0)
    expect(ended.out.match(/"restarting"/g) ?? []).toHaveLength(kills)
    const visible = ['plain', 'joined', 'ruled'].flatMap((sink) => place.visible(`routes/${sink}`))
    outputs.push(visible.toSorted())
  }
  const [one, ...others] = outputs
  // All of both sources, twice and once more, what is odd in one, and one of them under the rules of the other.
  expect(one).toHaveLength(6_000 * 2 + 2_000 + 1_000 + 4_000)
  for (const other of others) expect(other).toEqual(one)
})

test('what workers print comes out of the command', async () => {
  using place = new Workplace()
  place.write(
    'job.ts',
    `import { defineJob } from 'sluice'
     import { generatorSource } from 'sluice/sources/generator'
     import { callbackSink } from 'sluice/sinks/callback'
     export default defineJob({
       id: 'talking',
       guarantee: 'at-least-once',
       build(flow) {
         flow
           .source('in', generatorSource({ seed: 1, count: 1, generate: () => 'said' }))
           .sink('out', callbackSink(({ values }) => { console.log(values[0]); console.error('cried') }))
       },
     })`,
  )
  const ended = await place.sluice('run', 'job.ts', '--workers', '1')
  expect(ended).toMatchObject({ code: 0, out: 'said\n', err: expect.stringContaining('cried\n') })
})

test('when the command is killed its workers are gone within a second', async () => {
  using place = new Workplace()
  const run = place.start(...ENDLESS, '--workers', '3')
  await run.says('"completed","checkpoint":3')
  const workers = childrenOf(run.child.pid ?? 0)
  expect(workers).toHaveLength(3)
  run.child.kill('SIGKILL')
  const startMs = performance.now()
  await expect.poll(() => workers.filter(isThere), { timeout: 1_000, interval: 5 }).toEqual([])
  console.log(`workers gone ${Math.round(performance.now() - startMs)} ms after the command`)
  const next = place.start(...ENDLESS, '--workers', '2')
  await next.says('"completed"')
  next.child.kill('SIGTERM')
  expect((await next.ended).code).toBe(143)
  expect(expectExact(place)).toBeGreaterThan(1_000)
})

test('a worker whose thread the job holds does not outlive the command either', async () => {
  using place = new Workplace()
  const run = place.start('run', COUNTS, '--set', 'rate=20000', '--set', 'fault=spin', '--json', '--workers', '2')
  await run.says('"completed","checkpoint":2')
  const workers = childrenOf(run.child.pid ?? 0)
  expect(workers).toHaveLength(2)
  await run.says('spinning')
  run.child.kill('SIGKILL')
  await expect.poll(() => workers.filter(isThere), { timeout: 1_000, interval: 5 }).toEqual([])
})

test('a worker that was stopped when the command was killed ends when it wakes, whatever runs by then (F14)', async () => {
  using place = new Workplace()
  const run = place.start(...ENDLESS, '--workers', '2')
  await run.says('"completed","checkpoint":3')
  const [stopped = 0, other = 0] = childrenOf(run.child.pid ?? 0)
  process.kill(stopped, 'SIGSTOP')
  run.child.kill('SIGKILL')
  await expect.poll(() => isThere(other), { timeout: 1_000, interval: 5 }).toBe(false)
  const next = place.start(...ENDLESS, '--workers', '2')
  await next.says('"completed"')
  expect(isThere(stopped)).toBe(true)
  process.kill(stopped, 'SIGCONT')
  await expect.poll(() => isThere(stopped), { timeout: 1_000, interval: 5 }).toBe(false)
  next.child.kill('SIGTERM')
  expect((await next.ended).out).not.toContain('restarting')
  expect(expectExact(place)).toBeGreaterThan(100)
})

test('the command killed at any moment loses nothing and repeats nothing, with other workers each time (C2)', async () => {
  using place = new Workplace()
  for (const [round, workers] of [2, 3, 1, 4, 2].entries()) {
    const run = place.start(...ENDLESS, '--workers', String(workers), '--parallelism', String(5 - round))
    await run.says('"completed"')
    await setTimeout(round * 37)
    run.child.kill('SIGKILL')
  }
  const last = place.start(...ENDLESS, '--workers', '2')
  await last.says('"completed"')
  last.child.kill('SIGTERM')
  const ended = await last.ended
  expect(ended.code).toBe(143)
  expect(ended.out).toContain('"generation":6')
  expect(expectExact(place)).toBeGreaterThan(1_000)
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s to all processes of a shell stops cleanly, and restarts nothing',
  async (signal) => {
    using place = new Workplace()
    const child = spawn(process.execPath, [COMMAND, ...ENDLESS, '--workers', '2'], {
      cwd: place.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const run = new Running(child)
    await run.says('"completed","checkpoint":3')
    const workers = childrenOf(child.pid ?? 0)
    expect(workers).toHaveLength(2)
    process.kill(-(child.pid ?? 0), signal)
    const ended = await run.ended
    expect(ended.code).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(ended.out).toMatch(/"event":"ended","state":"STOPPED"\}\n$/)
    expect(ended.out).not.toContain('restarting')
    expect(workers.filter(isThere)).toEqual([])
    expect(expectExact(place)).toBeGreaterThan(100)
  },
)

test.each([
  ['0', /--workers 0: give a whole number from 1 to 128/],
  ['many', /--workers many: give a whole number/],
  ['1.5', /--workers 1\.5: give a whole number/],
  ['129', /--workers 129: give a whole number/],
])('--workers %s is refused with 2', async (workers, reason) => {
  using place = new Workplace()
  const ended = await place.sluice('run', COUNTS, '--workers', workers)
  expect(ended).toMatchObject({ code: 2, err: expect.stringMatching(reason) })
})

test('a store in memory cannot be shared with workers', async () => {
  using place = new Workplace()
  const ended = await place.sluice('run', COUNTS, '--workers', '2', '--store', 'memory:')
  expect(ended).toMatchObject({ code: 2, err: expect.stringMatching(/"memory:" is the memory of one process/) })
})
