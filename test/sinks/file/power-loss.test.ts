/** F17: the power is cut before every single operation of a file sink's life. What a completed checkpoint holds is there, whole, once. */
import { describe, expect, test } from 'vitest'
import { cutEverywhere, type Life, type Verdict } from '../../clients/file/power-cuts.ts'
import type { Operation, VolatileDisk } from '../../clients/file/volatile-disk.ts'
import {
  ALL_NUMBERS,
  CheckpointFacts,
  DIRECTORY,
  finish,
  hiddenNames,
  live,
  STAYING_OPEN,
  start,
  visibleNumbers,
  type LifeWay,
} from './life.ts'

/** One generation lives until the cut; another recovers from what survived and lives to the end. */
function sinkLife(way: LifeWay): Life {
  const log = new CheckpointFacts(way)
  return {
    live: async (disk) => live(await start(log, disk.operations), log),
    judge: async (survivors) => {
      const completed = log.epochs
      const problem = await recovered(survivors, log).catch((error: unknown) => String(error))
      const violations = problem === undefined ? [] : [`${completed} completed: ${problem}`]
      return { facts: ALL_NUMBERS.length, violations }
    },
  }
}

const cutSinkEverywhere = (ignores: (operation: Operation) => boolean, way: LifeWay = {}): Promise<Verdict> =>
  cutEverywhere(ignores, () => sinkLife(way))

/** What is wrong after a new generation has recovered and lived to the end. */
async function recovered(disk: VolatileDisk, log: CheckpointFacts): Promise<string | undefined> {
  const next = await start(log, disk.operations)
  await live(next, log)
  await finish(next, log)
  const seen = await visibleNumbers(disk)
  if (seen.join() !== ALL_NUMBERS.join()) return `visible: ${seen.join()}`
  return hiddenNames(disk).length > 0 ? `left: ${hiddenNames(disk).join()}` : undefined
}

describe('after a power loss at any operation', () => {
  test('every completed epoch is visible once and whole, and nothing hidden is left', async () => {
    const verdict = await cutSinkEverywhere(() => false)
    expect(verdict.violations).toEqual([])
    expect(verdict.cuts).toBeGreaterThan(100)
    expect(verdict.facts).toBe((verdict.cuts + 1) * 2 * ALL_NUMBERS.length)
  })

  test('so is what was in a part that stays open across checkpoints', async () => {
    const verdict = await cutSinkEverywhere(() => false, STAYING_OPEN)
    expect(verdict.violations).toEqual([])
    expect(verdict.cuts).toBeGreaterThan(80)
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
      expect((await cutSinkEverywhere(ignores)).violations.length).toBeGreaterThan(0)
      expect((await cutSinkEverywhere(ignores, STAYING_OPEN)).violations.length).toBeGreaterThan(0)
    })
  }
})
