/**
 * What a sink must do whose epochs may be, in whole or in part, in writer state instead of committables. Of sinks without writer state they
 * ask nothing new.
 */
import assert from 'node:assert/strict'
import { visible, type SinkCheck } from './sink-commit-checks.ts'
import { SinkGeneration, type SinkEnvironment, type StoredCommit, type StoredState } from './sink-generation.ts'

/** What the newest completed checkpoint holds, and those before it that are retained. */
interface Checkpoint {
  readonly due: readonly StoredCommit[]
  readonly states: readonly StoredState[]
  readonly kept: readonly StoredState[]
}

const NOTHING: Checkpoint = { due: [], states: [], kept: [] }

export const stateChecks: Readonly<Record<string, SinkCheck>> = {
  'what writer state holds is visible once after a restore, and nothing from behind the cut (C4)': async (
    environment,
  ) => {
    for (let epochs = 1; epochs <= 4; epochs += 1) {
      const start = epochs * 100
      const numbers = Array.from({ length: epochs }, (_, index) => start + index * 2)
      await using dead = await restored(environment, NOTHING, { generation: epochs * 10 })
      let held = NOTHING
      for (const number of numbers) held = await completed(dead, held, [number, number + 1])
      await dead.write([start + 98])
      await dead.prepare()
      await dead.write([start + 99])
      await using next = await restored(environment, held, { generation: epochs * 10 + 1 })
      await ended(environment, next, held, [start + 50])
      const expected = [...numbers.flatMap((number) => [number, number + 1]), start + 50]
      const seen = (await visible(environment)).filter((number) => number >= start)
      assert.deepEqual(seen, expected, `after ${epochs} epochs`)
    }
  },

  'nothing that writer state alone holds is visible before its commit (C1)': async (environment) => {
    await using dead = await restored(environment, NOTHING, { generation: 1 })
    const held = await completed(dead, NOTHING, [1], { commits: false })
    assert.deepEqual(await visible(environment), [])
    await using next = new SinkGeneration(environment, { generation: 2 })
    await next.abortStale(held.due, held.kept)
    await next.open(held.states)
    await next.prepare()
    assert.deepEqual(await visible(environment), [])
  },

  'what an abandoned checkpoint prepared and a later one holds in writer state are each visible once (F12)': async (
    environment,
  ) => {
    await using job = await restored(environment, NOTHING, { generation: 1 })
    const carried: StoredCommit[] = []
    for (const number of [1, 2, 3]) {
      await job.write([number])
      carried.push(...(await job.prepare()))
    }
    const held = { due: carried, states: job.states, kept: job.states }
    await using next = await restored(environment, held, { generation: 2 })
    await ended(environment, next, held, [4])
    assert.deepEqual(await visible(environment), [1, 2, 3, 4])
  },

  'a restore that is interrupted again and again loses nothing and leaves nothing (F11)': async (environment) => {
    await using dead = await restored(environment, NOTHING, { generation: 1 })
    let held = await completed(dead, NOTHING, [1, 2])
    await dead.write([9])
    for (let generation = 2; generation < 6; generation += 1) {
      await using one = await restored(environment, held, { generation })
      if (generation > 3) await one.write([9])
      if (generation > 4) await one.prepare()
    }
    await using last = await restored(environment, held, { generation: 6 })
    held = await completed(last, held, [3])
    await ended(environment, last, held, [4])
    assert.deepEqual(await visible(environment), [1, 2, 3, 4])
  },

  'writer state goes to whichever subtask, of more or of fewer (F23)': async (environment) => {
    let held = NOTHING
    let next = 1
    const expected: number[] = []
    for (const [index, parallelism] of [3, 1, 5, 2].entries()) {
      await using job = await restored(environment, held, { generation: index + 1, parallelism })
      const due: StoredCommit[] = []
      for (let subtask = 0; subtask < parallelism; subtask += 1) {
        await job.write([next], subtask)
        expected.push(next)
        next += 1
        due.push(...(await job.prepare({ subtask })))
      }
      await job.commitUntilClear(due)
      await job.forget(due)
      held = { due, states: job.states, kept: [...held.states, ...job.states] }
      // In no checkpoint.
      await job.write([1_000 + index], parallelism - 1)
    }
    await using last = await restored(environment, held, { generation: 9 })
    await ended(environment, last, held, [next])
    assert.deepEqual(await visible(environment), [...expected, next])
  },

  'a paused process that wakes up changes nothing that was restored from its state (F14)': async (environment) => {
    await using paused = await restored(environment, NOTHING, { generation: 1 })
    let held = await completed(paused, NOTHING, [1, 2])
    const zombie = async (number: number, endOfInput: boolean): Promise<void> => {
      try {
        await paused.write([number])
        await paused.prepare({ endOfInput })
      } catch {
        // It is fenced: it may be refused anything.
      }
    }
    await using next = new SinkGeneration(environment, { generation: 2 })
    await next.commitUntilClear(held.due)
    await zombie(90, false)
    await next.abortStale(held.due, held.kept)
    await zombie(91, false)
    await next.open(held.states)
    await zombie(92, true)
    held = await completed(next, held, [3])
    await zombie(93, true)
    await next.abortStale(held.due, held.kept)
    await ended(environment, next, held, [4])
    assert.deepEqual(await visible(environment), [1, 2, 3, 4])
  },
}

/** A start: commits what is due, aborts what is left, opens its writers from writer state. */
async function restored<In, C, W>(
  environment: SinkEnvironment<In, C, W>,
  { due, states, kept }: Checkpoint,
  options: { readonly generation: number; readonly parallelism?: number },
): Promise<SinkGeneration<In, C, W>> {
  const generation = new SinkGeneration(environment, options)
  await generation.commitUntilClear(due)
  await generation.abortStale(due, kept)
  await generation.open(states)
  return generation
}

/** Writes an epoch whose checkpoint completes, and is committed. */
async function completed<In, C, W>(
  job: SinkGeneration<In, C, W>,
  before: Checkpoint,
  numbers: readonly number[],
  { commits = true }: { readonly commits?: boolean } = {},
): Promise<Checkpoint> {
  await job.write(numbers)
  const due = await job.prepare()
  const { states } = job
  if (commits) {
    await job.commitUntilClear(due)
    await job.forget(before.due)
  }
  return { due, states, kept: [...before.states, ...states] }
}

/** The last epoch and the end of the input: everything is visible then, and nothing is left that is not. */
async function ended<In, C, W>(
  environment: SinkEnvironment<In, C, W>,
  job: SinkGeneration<In, C, W>,
  before: Checkpoint,
  numbers: readonly number[],
): Promise<void> {
  await job.write(numbers)
  const last = await job.prepare({ endOfInput: true })
  assert.deepEqual(job.states, [], 'writer state behind the end of the input would be committed by nobody')
  await job.commitUntilClear(last)
  await job.forget([...before.due, ...last])
  await job.abortStale([], before.kept)
  assert.deepEqual((await environment.leftovers?.()) ?? [], [])
}
