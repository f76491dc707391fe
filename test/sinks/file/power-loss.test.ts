/** F17: the power is cut before every single operation of a file sink's life. What a completed checkpoint holds is there, whole, once. */
import { describe, expect, test } from 'vitest'
import { volatileDisk, type Operation } from '../../checkpoint-store/volatile-disk.ts'
import {
  ALL_NUMBERS,
  CheckpointFacts,
  DIRECTORY,
  finish,
  hiddenNames,
  live,
  operationsOf,
  start,
  untilStill,
  visibleNumbers,
} from './life.ts'

interface Verdict {
  readonly cuts: number
  readonly facts: number
  readonly violations: readonly string[]
}

/** Cuts before operation 0, 1, 2, … until a life gets through; each time two kinds of survivors, on which a new generation starts. */
async function cutEverywhere(ignores: (operation: Operation) => boolean): Promise<Verdict> {
  const violations: string[] = []
  let facts = 0
  for (let cuts = 0; ; cuts += 1) {
    let wasCut = false
    for (const unsynced of ['nothing', 'names'] as const) {
      const log = new CheckpointFacts()
      const disk = volatileDisk({
        ignores,
        before: (_operation, index) => {
          if (index < cuts) return
          wasCut = true
          return 'cut'
        },
      })
      const fs = operationsOf(disk)
      await untilStill(
        start(log, fs).then((first) => live(first, log)),
        disk,
      )
      const completed = log.epochs
      const problem = await recovered(disk.survivors(unsynced), log).catch((error: unknown) => String(error))
      facts += ALL_NUMBERS.length
      if (problem !== undefined)
        violations.push(`cut ${cuts}, ${unsynced} unsynced, ${completed} completed: ${problem}`)
    }
    if (!wasCut) return { cuts, facts, violations }
  }
}

/** What is wrong after a new generation has recovered and lived to the end. */
async function recovered(disk: ReturnType<typeof volatileDisk>, log: CheckpointFacts): Promise<string | undefined> {
  const fs = operationsOf(disk)
  const next = await start(log, fs)
  await live(next, log)
  await finish(next, log)
  const seen = await visibleNumbers(disk)
  if (seen.join() !== ALL_NUMBERS.join()) return `visible: ${seen.join()}`
  return hiddenNames(disk).length > 0 ? `left: ${hiddenNames(disk).join()}` : undefined
}

describe('after a power loss at any operation', () => {
  test('every completed epoch is visible once and whole, and nothing hidden is left', async () => {
    const verdict = await cutEverywhere(() => false)
    expect(verdict.violations).toEqual([])
    expect(verdict.cuts).toBeGreaterThan(100)
    expect(verdict.facts).toBe((verdict.cuts + 1) * 2 * ALL_NUMBERS.length)
  })
})

describe('the power-loss harness finds a file sink that', () => {
  const bugs: Readonly<Record<string, (operation: Operation) => boolean>> = {
    'does not fsync its parts': ({ name, path }) => name === 'fsync' && path.endsWith('.part'),
    'does not fsync its directory': ({ name, path }) => name === 'fsync' && path === DIRECTORY,
    'does not fsync the parent of a new directory': ({ name, path }) => name === 'fsync' && path === '/srv',
    'makes no second link': ({ name, path }) => name === 'link' && path.endsWith('.keep'),
  }
  for (const [bug, ignores] of Object.entries(bugs)) {
    test(`${bug}`, async () => {
      expect((await cutEverywhere(ignores)).violations.length).toBeGreaterThan(0)
    })
  }
})
