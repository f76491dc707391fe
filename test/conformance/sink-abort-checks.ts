/** What every exactly-once sink must do with leftovers of older generations, and with a generation that died or was only paused. */
import assert from 'node:assert/strict'
import { already, committed, epochs, opened, sorted, visible, type SinkCheck } from './sink-commit-checks.ts'
import { History, SinkGeneration, type StoredCommit } from './sink-generation.ts'

export const abortChecks: Readonly<Record<string, SinkCheck>> = {
  'leftovers of an older generation are aborted, and aborting again finds nothing (F4)': async (environment) => {
    await using dead = await opened(environment, { generation: 1 })
    await epochs(dead, [[1], [2]])
    await dead.write([3])
    await using next = await opened(environment, { generation: 2 })
    const first = await next.abortStale()
    assert.ok(first.clean)
    assert.ok(first.aborted > 0, 'prepared data was there, nothing was aborted')
    assert.deepEqual((await environment.leftovers?.()) ?? [], [])
    assert.deepEqual(await next.abortStale(), { aborted: 0, clean: true })
    await replayed(next, [1, 2, 3])
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'what a completed checkpoint holds is never aborted': async (environment) => {
    await using dead = await opened(environment, { generation: 1 })
    const [first, second, third] = await epochs(dead, [[1], [2], [3]])
    await dead.commitUntilClear(first)
    await using next = await opened(environment, { generation: 2 })
    const keep = [...first, ...second]
    assert.ok((await next.abortStale(keep)).clean)
    await next.abortStale(keep)
    assert.deepEqual(await next.commit(keep), [...already(first), ...committed(second)])
    assert.deepEqual(await visible(environment), [1, 2])
    const [outcome] = await next.commit(third)
    assert.equal(outcome?.kind, 'lost', 'the third epoch was to be aborted')
  },

  'what is of the same or a newer generation is never aborted (F36)': async (environment) => {
    await using paused = await opened(environment, { generation: 1 })
    await using next = await opened(environment, { generation: 2 })
    const [mine] = await epochs(next, [[1]])
    await next.write([2])
    await paused.abortStale()
    await next.abortStale()
    // Prepared before there is a newer one, which may end what it writes with.
    const open = await next.prepare()
    await using newest = await opened(environment, { generation: 3 })
    const [newer] = await epochs(newest, [[3]])
    await paused.abortStale()
    await next.abortStale()
    const due = [...mine, ...open, ...newer]
    assert.deepEqual(await next.commit(due), committed(due))
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'what another sink of the job has in the same place is never aborted': async (environment) => {
    await using other = await opened(environment, { generation: 1, operator: 'other' })
    const [due] = await epochs(other, [[1]])
    await using next = await opened(environment, { generation: 2, operator: 'out' })
    await next.abortStale()
    assert.deepEqual(await next.abortStale(), { aborted: 0, clean: true })
    await using otherNext = new SinkGeneration(environment, { generation: 2, operator: 'other' })
    assert.deepEqual(await otherNext.commit(due), committed(due))
    assert.deepEqual(await visible(environment), [1])
  },

  'what a job of the same id in another store has in the same place is never aborted': async (environment) => {
    await using other = await opened(environment, { generation: 1, history: new History() })
    const [due] = await epochs(other, [[1]])
    await using next = await opened(environment, { generation: 2 })
    assert.deepEqual(await next.abortStale(), { aborted: 0, clean: true })
    assert.deepEqual(await other.commit(due), committed(due))
    assert.deepEqual(await visible(environment), [1])
  },

  'nothing of subtasks that are no more is left (F34)': async (environment) => {
    await using wide = await opened(environment, { generation: 1, parallelism: 5 })
    for (let subtask = 0; subtask < 5; subtask += 1) await wide.write([subtask * 10], subtask)
    for (let subtask = 0; subtask < 4; subtask += 1) await wide.prepare({ subtask })
    await using narrow = await opened(environment, { generation: 2 })
    assert.ok((await narrow.abortStale()).clean)
    // One of them was only paused and goes on.
    await ignoringErrors(async () => {
      await wide.write([50], 4)
      await wide.prepare({ subtask: 4 })
    })
    assert.ok((await narrow.abortStale()).clean)
    assert.deepEqual((await environment.leftovers?.()) ?? [], [])
    assert.deepEqual(await visible(environment), [])
  },

  'a new generation takes no name that an old one has': async (environment) => {
    await using old = await opened(environment, { generation: 1 })
    const [first] = await epochs(old, [[1]])
    await using next = await opened(environment, { generation: 2 })
    const [second] = await epochs(next, [[2]])
    await old.commitUntilClear(first)
    await next.commitUntilClear(second)
    assert.deepEqual(await visible(environment), [1, 2])
    // The old one is fenced: it may complain.
    assert.deepEqual(next.failures, [])
  },

  'closing leaves prepared data alone (S2)': async (environment) => {
    let due: StoredCommit[]
    {
      await using job = await opened(environment, { generation: 1 })
      const [first] = await epochs(job, [[1]])
      await job.write([2])
      due = first
    }
    assert.deepEqual(await visible(environment), [])
    await using next = new SinkGeneration(environment, { generation: 2 })
    assert.deepEqual(await next.commit(due), committed(due))
    assert.deepEqual(await visible(environment), [1])
  },

  'a paused process that wakes up changes nothing that was due, however late (F14, F33)': async (environment) => {
    await using paused = await opened(environment, { generation: 1 })
    const [due, notDue] = await epochs(paused, [[1, 2], [3]])
    await using next = await opened(environment, { generation: 2 })
    assert.deepEqual(await next.commit(due), committed(due))
    const taken = await environment.takeVisible?.()
    await next.abortStale(due)
    // It repeats a commit that was due, before and after its evidence is gone, and goes on writing.
    assert.deepEqual(await paused.commit(due), already(due))
    await ignoringErrors(async () => {
      await paused.write([4])
      await paused.prepare()
    })
    await next.forget(due)
    await paused.commit(due)
    await ignoringErrors(() => paused.forget([...due, ...notDue]))
    await ignoringErrors(() => paused.abortStale())
    await replayed(next, [3])
    await next.abortStale()
    assert.deepEqual((await environment.leftovers?.()) ?? [], [])
    assert.deepEqual(sorted([...(taken ?? []), ...(await environment.readVisible())]), [1, 2, 3])
  },

  'a crash between any two calls, in a life and in the recovery from it, loses nothing and repeats nothing': async (
    environment,
  ) => {
    const steps = STEPS_PER_EPOCH * EPOCHS
    let facts = 0
    for (let crashAfter = 0; crashAfter <= steps; crashAfter += 1) {
      const start = crashAfter * 1_000
      const log = new CheckpointFacts()
      const generations: SinkGeneration<unknown, unknown, unknown>[] = []
      const next = async () => {
        const one = await opened(environment, { generation: crashAfter * 10 + generations.length + 1 })
        generations.push(one as SinkGeneration<unknown, unknown, unknown>)
        return one
      }
      let left = crashAfter
      await live(await next(), log, { start, mayGoOn: () => (left -= 1) >= 0 })
      // Recovery is interrupted after each of its steps, too (F11).
      for (let recoverySteps = 0; recoverySteps < 3; recoverySteps += 1) {
        const recovering = await next()
        if (recoverySteps >= 0) await recovering.commitUntilClear(log.completed)
        if (recoverySteps >= 1) await recovering.abortStale(log.completed)
      }
      const last = await next()
      await last.commitUntilClear(log.completed)
      await last.abortStale(log.completed)
      await live(last, log, { start, mayGoOn: () => true })
      await last.forget(log.completed)
      await last.abortStale()
      assert.deepEqual((await environment.leftovers?.()) ?? [], [], `leftovers after a crash after step ${crashAfter}`)
      const seen = (await visible(environment)).filter((number) => number >= start)
      assert.deepEqual(seen, numbersFrom(start), `visible after a crash after step ${crashAfter}`)
      facts += seen.length
      for (const one of generations) await one[Symbol.asyncDispose]()
    }
    assert.equal(facts, (steps + 1) * EPOCHS * 2)
  },
}

const EPOCHS = 3
const STEPS_PER_EPOCH = 6

/** What the checkpoint log would say. */
class CheckpointFacts {
  readonly completed: StoredCommit[] = []
  epochs = 0
}

function numbersFrom(start: number): number[] {
  return Array.from({ length: EPOCHS * 2 }, (_, index) => start + index)
}

/** From the first epoch that is not completed to the last; six steps each. */
async function live<In, C, W>(
  job: SinkGeneration<In, C, W>,
  log: CheckpointFacts,
  { start, mayGoOn }: { readonly start: number; readonly mayGoOn: () => boolean },
): Promise<void> {
  const numbers = numbersFrom(start)
  let forgettable: readonly StoredCommit[] = []
  while (log.epochs < EPOCHS) {
    const at = log.epochs * 2
    let prepared: StoredCommit[] = []
    const steps: readonly (() => Promise<unknown>)[] = [
      () => job.write(numbers.slice(at, at + 1)),
      () => job.write(numbers.slice(at + 1, at + 2)),
      async () => {
        prepared = await job.prepare()
      },
      async () => {
        log.completed.push(...prepared)
        log.epochs += 1
      },
      () => job.commitUntilClear(log.completed),
      async () => {
        // Only what is settled, and never what a recovery will ask for: the last completed stay.
        await job.forget(forgettable)
        log.completed.splice(0, log.completed.length - prepared.length)
        forgettable = prepared
      },
    ]
    for (const step of steps) {
      if (!mayGoOn()) return
      await step()
    }
  }
}

async function replayed<In, C, W>(job: SinkGeneration<In, C, W>, numbers: readonly number[]): Promise<void> {
  await job.write(numbers)
  const prepared = await job.prepare()
  await job.commitUntilClear(prepared)
  await job.forget(prepared)
}

/** A process that has been fenced may be refused anything. */
async function ignoringErrors(act: () => Promise<unknown>): Promise<void> {
  await act().catch(() => undefined)
}
