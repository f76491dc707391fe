/** Keyed state against a reference, and the seeded bugs that the comparison must find. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { steps, World, type Seed } from './model.ts'

async function firstFailure(seed: Seed, runs: number): Promise<{ failed: boolean; compared: number; message: string }> {
  let compared = 0
  const details = await fc.check(
    fc.asyncProperty(steps, async (all) => {
      const world = new World(seed)
      await world.run(all)
      compared += world.compared
    }),
    { numRuns: runs, seed: 4_711, endOnFailure: seed !== 'none' },
  )
  const message = details.failed ? `${String(details.errorInstance)}\n${JSON.stringify(details.counterexample)}` : ''
  return { failed: details.failed, compared, message }
}

test('what is restored is what was there at the cut, whatever happened around it', async () => {
  const { failed, compared, message } = await firstFailure('none', 1_200)
  expect(message).toBe('')
  expect(failed).toBe(false)
  expect(compared).toBeGreaterThan(10_000)
})

test('deltas since the last attempt instead of the base are caught (F30)', async () => {
  expect(await firstFailure('F30', 400)).toMatchObject({ failed: true, message: expect.stringContaining('expected') })
})

test('a live mutation in a snapshot is caught (F31)', async () => {
  expect(await firstFailure('F31', 400)).toMatchObject({ failed: true, message: expect.stringContaining('expected') })
})
