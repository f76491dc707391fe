/** Prepared data that somebody removed after its checkpoint had completed (F18): FAILED with all that is known, output frozen, a way out. */
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Arena, FACTS, REPLAY, tell } from './harness.ts'

let facts = 0
let lost = 0

/** A crash between `completed` and the first of its commits, then all hidden files of one sink are taken away. */
async function lose(arena: Arena): Promise<{ readonly checkpoint: number; readonly removed: readonly string[] }> {
  await arena.killed({ match: 'rename counts/part', nth: 4, how: 'KILL' })
  const checkpoint = arena.newest().retained.at(-1)?.checkpoint ?? 0
  const due = arena.hidden('counts').filter((name) => name.endsWith('.part'))
  const removed = [...due, ...due.map((name) => name.replace(/\.part$/, '.keep'))].filter((name) =>
    arena.hidden('counts').includes(name),
  )
  for (const name of removed) renameSync(arena.path('counts', name), arena.path(name))
  lost += 1
  return { checkpoint, removed }
}

test('a commit that is lost fails the job with sink, subtask, checkpoint and handle, and freezes the output', async () => {
  using arena = new Arena()
  const { checkpoint, removed } = await lose(arena)
  const before = arena.visible('counts')
  for (let time = 1; time <= 2; time += 1) {
    const run = await arena.run(1, { settings: REPLAY })
    const [ended] = run.events('ended')
    expect(ended).toMatchObject({ state: 'FAILED' })
    const reason = String(ended?.['reason'])
    expect(reason).toContain('sink "counts" subtask 0')
    expect(reason).toContain(`checkpoint ${checkpoint}`)
    expect(reason).toContain(`--accept-loss ${checkpoint}`)
    expect(reason).toMatch(/handle \{.*"name":"kills--/)
    expect(removed.some((name) => reason.includes(name.slice(1, -'.part'.length)))).toBe(true)
    expect(run.events('running')).toEqual([])
    expect(run.events('restarting')).toEqual([])
    expect(arena.visible('counts')).toEqual(before)
    expect(arena.newest()).toMatchObject({ kind: 'ended', end: { state: 'FAILED' } })
    facts += before.length
  }
  // Brought back by hand: nothing is missing.
  for (const name of removed) renameSync(arena.path(name), arena.path('counts', name))
  const rest = await arena.finish()
  facts += rest
})

test('a loss that is accepted is recorded, and only its records are missing', async () => {
  using arena = new Arena()
  const { checkpoint, removed } = await lose(arena)
  const missing = removed
    .filter((name) => name.endsWith('.part'))
    .flatMap((name) => readFileSync(arena.path(name), 'utf8').split('\n'))
    .filter((line) => line !== '')
  await arena.run(2, { flags: ['--accept-loss', String(checkpoint + 1)] })
  await arena.run(0, { settings: REPLAY, flags: ['--accept-loss', String(checkpoint)] })
  const visible = new Set(arena.visible('counts'))
  expect(visible.size).toBe(arena.visible('counts').length)
  const gone = missing.filter((line) => !visible.has(line))
  expect(gone.length).toBeGreaterThan(0)
  expect(visible.size + gone.length).toBe(241)
  expect(arena.visible('evens')).toHaveLength(120)
  facts += visible.size + 120
})

test('a commit that is lost while the job runs stops it there', async () => {
  using arena = new Arena()
  const run = arena.start({
    strikes: [{ match: 'rename counts/part', nth: 3, how: 'STOP' }],
  })
  expect(await run.untilStopped()).toBe(true)
  for (const name of arena.hidden('counts')) rmSync(arena.path('counts', name))
  lost += 1
  const before = arena.visible('counts')
  run.wake()
  await run.expectCode(1)
  expect(run.said).toMatch(/sink \\?"counts\\?" subtask 0 lost what it prepared/)
  expect(arena.visible('counts')).toEqual(before)
  facts += before.length
})

test('the commits were really lost', () => {
  tell('lost commits', { lost, facts })
  expect(lost).toBe(3)
  expect(facts).toBeGreaterThan(2 * FACTS)
})
