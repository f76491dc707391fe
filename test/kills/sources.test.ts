/** Sources that are not what they were: cut, rewritten or gone below the checkpoint (F20), begun at "latest" or on a changing set of files (F32). */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, inPairs, sampled, tell } from './harness.ts'

const LINES = 800
const lineOf = (file: string, index: number): string => `${file} line ${String(index).padStart(4, '0')}`
const all = (file: string): readonly string[] => Array.from({ length: LINES }, (_, index) => lineOf(file, index))
const LINES_LOG = '.sluice/lines/log'
let facts = 0
let faults = 0

async function halfRead(): Promise<Arena> {
  const arena = new Arena()
  mkdirSync(arena.path('in'))
  for (const file of ['b', 'c']) writeFileSync(arena.path('in', `${file}.txt`), `${all(file).join('\n')}\n`)
  await arena.run(null, {
    job: 'lines',
    strikes: [{ match: `link ${LINES_LOG}/`, nth: 4, moment: 'after', how: 'KILL' }],
  })
  return arena
}

const damages: Readonly<Record<string, (path: string) => void>> = {
  truncated: (path) => truncateSync(path, 10),
  rewritten: (path) => writeFileSync(path, readFileSync(path, 'utf8').replaceAll('line', 'LINE')),
  removed: (path) => rmSync(path),
}

test.each(Object.entries(damages))(
  'a file that was %s below its position fails the job by name, nothing is skipped, and it goes on when the file is back (F20)',
  async (_name, damage) => {
    using arena = await halfRead()
    const path = arena.path('in', 'b.txt')
    const sound = readFileSync(path)
    damage(path)
    faults += 1
    const run = await arena.run(1, { job: 'lines' })
    expect(run.events('ended')).toMatchObject([{ state: 'FAILED', reason: expect.stringContaining('b.txt') }])
    expect(run.events('restarting')).toEqual([])
    const visible = arena.visible('out')
    expect(visible).toEqual(all('b').slice(0, visible.length))
    expect(visible.length).toBeLessThan(LINES)
    writeFileSync(path, sound)
    await arena.run(0, { job: 'lines' })
    expect(arena.visible('out')).toEqual([...all('b'), ...all('c')])
    facts += visible.length + 2 * LINES
  },
)

test('files that appear between two starts are read from their beginning, whatever their place in the order (F32)', async () => {
  using arena = await halfRead()
  for (const file of ['a', 'd']) writeFileSync(arena.path('in', `${file}.txt`), `${all(file).join('\n')}\n`)
  faults += 1
  // Killed again before a checkpoint of the second start holds them.
  await arena.run(null, { job: 'lines', strikes: [{ match: `link ${LINES_LOG}/`, nth: 3, how: 'KILL' }] })
  renameSync(arena.path('in', 'd.txt'), arena.path('in', 'e.txt'))
  await arena.run(0, { job: 'lines' })
  const visible = arena.visible('out')
  const expected = [...all('a'), ...all('b'), ...all('c'), ...all('d')]
  expect(visible.toSorted()).toEqual(expected)
  for (const file of ['a', 'b', 'c', 'd']) {
    expect(visible.filter((line) => line.startsWith(file))).toEqual(all(file))
  }
  facts += visible.length
})

test(
  'a source begun at "latest" skips nothing behind the first completed checkpoint, killed wherever before it (F32)',
  { timeout: 300_000 },
  async () => {
    const append = (arena: Arena, from: number, until: number): void =>
      appendFileSync(
        arena.path('tail'),
        Array.from({ length: until - from }, (_, index) => `${from + index}\n`).join(''),
      )
    const whole = new Arena()
    append(whole, 0, 10)
    const { effects } = await whole.run(null, {
      job: 'latest',
      strikes: [{ match: 'link .sluice/latest/log/', nth: 4, moment: 'after', how: 'KILL' }],
    })
    whole[Symbol.dispose]()
    const first = effects.findIndex((effect) => effect.startsWith('open .sluice/latest/log/'))
    const places = effects.flatMap((_, index) => (index < first ? [] : [index + 1]))
    expect(places.length).toBeGreaterThan(15)
    const kinds = { before: 0, behind: 0 }
    await inPairs(sampled(places, 12), async (nth) => {
      using arena = new Arena()
      append(arena, 0, 10)
      await arena.run(null, { job: 'latest', strikes: [{ nth, moment: 'after', how: 'KILL' }] })
      faults += 1
      const completed = arena.log('latest').some(({ retained }) => retained.length > 0)
      // Nothing is read before positions are in a completed checkpoint; until then "latest" is that of the next start.
      expect(completed ? [] : arena.visible('out')).toEqual([])
      kinds[completed ? 'behind' : 'before'] += 1
      append(arena, 10, 20)
      const second = arena.start({
        job: 'latest',
        strikes: [{ match: 'link .sluice/latest/log/', nth: 3, moment: 'after', how: 'STOP' }],
      })
      await second.untilStopped()
      append(arena, 20, 30)
      appendFileSync(arena.path('tail'), 'end\n')
      second.wake()
      await second.expectCode(0)
      const from = completed ? 10 : 20
      expect(arena.visible('out')).toEqual(Array.from({ length: 30 - from }, (_, index) => String(from + index)))
      facts += 30 - from
    })
    expect(Math.min(kinds.before, kinds.behind)).toBeGreaterThanOrEqual(3)
  },
)

test('the sources were really damaged', () => {
  tell('sources', { 'faults fired': faults, facts })
  expect(faults).toBeGreaterThanOrEqual(4 + 12)
  expect(facts).toBeGreaterThan(3 * 2 * LINES + 4 * LINES)
})
