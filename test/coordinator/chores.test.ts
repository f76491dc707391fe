import { expect, test } from 'vitest'
import { Chores } from '../../engine/coordinator/chores.ts'
import { within } from '../../engine/coordinator/deadline.ts'
import { NO_FAULTS } from '../simulation/plan.ts'
import { SimulatedProcess } from '../simulation/process.ts'
import { VirtualTime } from '../simulation/virtual-time.ts'

function createChores() {
  const time = new VirtualTime()
  const process = new SimulatedProcess(time, { number: 1, seed: 1, rates: NO_FAULTS, jumpMs: 0 })
  const abort = new AbortController()
  const chores = new Chores(process.runtime, abort.signal)
  const finish = async (limitMs: number): Promise<boolean | undefined> => {
    let isDone: boolean | undefined
    void within(process.runtime.timers, limitMs, chores.finish()).then((value) => {
      isDone = value !== undefined
    })
    await time.run(() => isDone !== undefined)
    return isDone
  }
  return { chores, finish, abort, log: process.log }
}

test('chores are done one after another, a failed one again and again, and then it is given up', async () => {
  const { chores, finish, log } = createChores()
  const done: string[] = []
  let tries = 0
  chores.add('flaky', async () => {
    tries += 1
    done.push(`flaky ${tries}`)
    if (tries < 3) throw new Error('not yet')
  })
  chores.add('hopeless', async () => {
    done.push('hopeless')
    throw new Error('never')
  })
  chores.add('last', async () => {
    done.push('last')
  })
  expect(await finish(600_000)).toBe(true)
  expect(done).toEqual(['flaky 1', 'flaky 2', 'flaky 3', ...Array.from({ length: 10 }, () => 'hopeless'), 'last'])
  expect(log.filter((line) => line.includes('hopeless: not done')).length).toBe(1)
  chores.add('later', async () => {
    done.push('later')
  })
  expect(await finish(1_000)).toBe(true)
  expect(done.at(-1)).toBe('later')
})

test('a chore that never answers is waited for within the limit only, and what waits is bounded (C8)', async () => {
  const { chores, finish, log, abort } = createChores()
  for (let index = 0; index < 1_500; index += 1) chores.add(`silent ${index}`, () => new Promise(() => undefined))
  expect(log.length).toBeGreaterThanOrEqual(200)
  expect(await finish(10_000)).toBe(false)
  abort.abort(new Error('the attempt is over'))
  expect(await finish(600_000)).toBe(true)
})
