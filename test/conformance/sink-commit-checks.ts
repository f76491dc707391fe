/** What every exactly-once sink must do between prepare and forget: each check returns or throws, with the sink's outside to itself. */
import assert from 'node:assert/strict'
import { maxUnsettledEpochs } from '../../engine/api/index.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import {
  BOUNDS,
  silent,
  SinkGeneration,
  type GenerationOptions,
  type SinkEnvironment,
  type StoredCommit,
} from './sink-generation.ts'

/** Resolves when the sink holds what is asked of it. The environment is its own. */
export type SinkCheck = <In, C, W>(environment: SinkEnvironment<In, C, W>) => Promise<void>

const BIG_EPOCH = 20_000
const BATCH = 500
/** After this long a write is taken for pushed back. */
const PATIENCE_MS = 1_000
/** After this long a write is taken for stuck. */
const DEADLINE_MS = 5_000

export const commitChecks: Readonly<Record<string, SinkCheck>> = {
  'nothing is visible before its commit, all of it afterwards': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    await job.write([1, 2])
    assert.deepEqual(await visible(environment), [])
    const first = await job.prepare()
    await job.write([3])
    assert.ok(first.length > 0, 'an epoch with records gave no committable')
    assert.deepEqual(await visible(environment), [])
    const second = await job.prepare()
    await job.write([4])
    assert.deepEqual(await visible(environment), [])
    assert.deepEqual(await job.commit(first), committed(first))
    assert.deepEqual(await visible(environment), [1, 2])
    assert.deepEqual(await job.commit(second), committed(second))
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'a second commit says already-committed and changes nothing, also after later ones (S1)': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const [first, second] = await epochs(job, [[1, 2], [3]])
    await job.commitUntilClear(first)
    assert.deepEqual(await job.commit(first), already(first))
    await job.commitUntilClear(second)
    assert.deepEqual(await job.commit(first), already(first))
    assert.deepEqual(await job.commit([...first, ...second]), already([...first, ...second]))
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'another process commits from the bytes alone': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const [first] = await epochs(job, [[1, 2, 3]])
    await using other = new SinkGeneration(environment, { generation: 2 })
    assert.deepEqual(await other.commit(first), committed(first))
    await using third = new SinkGeneration(environment, { generation: 3 })
    assert.deepEqual(await third.commit(first), already(first))
    assert.deepEqual(await job.commit(first), already(first))
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'two processes commit the same at the same time: visible once, every answer clear': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    // Of its own generation: a newer one may have ended what it writes with.
    await using one = new SinkGeneration(environment, { generation: 1 })
    await using two = new SinkGeneration(environment, { generation: 1 })
    for (let round = 0; round < 10; round += 1) {
      const start = round * 10
      const due = (await epochs(job, [[start], [start + 1], [start + 2]])).flat()
      const answers = await Promise.all([
        one.commitUntilClear(due),
        two.commitUntilClear(due),
        one.commitUntilClear(due),
      ])
      for (const kind of answers.flat()) assert.match(kind, /^(already-)?committed$/)
      job.settle()
    }
    const expected = Array.from({ length: 10 }, (_, round) => [round * 10, round * 10 + 1, round * 10 + 2]).flat()
    assert.deepEqual(await visible(environment), expected)
  },

  'epochs of abandoned checkpoints are committed with a later one': async (environment) => {
    await using job = await opened(environment, { generation: 1, parallelism: 2 })
    const carried: StoredCommit[] = []
    for (const [index, subtask] of [0, 1, 0, 1].entries()) {
      await job.write([index * 10, index * 10 + 1], subtask)
      carried.push(...(await job.prepare({ subtask })))
    }
    await using other = new SinkGeneration(environment, { generation: 2, parallelism: 3 })
    assert.deepEqual(await other.commit(carried), committed(carried))
    assert.deepEqual(await visible(environment), [0, 1, 10, 11, 20, 21, 30, 31])
  },

  'what is due and what was already done may come in one call': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const [first, second, third] = await epochs(job, [[1], [2], [3]])
    await job.commitUntilClear(second)
    assert.deepEqual(await job.commit([...first, ...second]), [...committed(first), ...already(second)])
    assert.deepEqual(await job.commit([...second, ...third]), [...already(second), ...committed(third)])
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'settled epochs free what they held, and as many as may be unsettled at a time are no obstacle': async (
    environment,
  ) => {
    await using job = await opened(environment, { generation: 1 })
    const most = maxUnsettledEpochs(BOUNDS)
    const expected: number[] = []
    for (let round = 0; round < 4; round += 1) {
      const due: StoredCommit[] = []
      // One of them is still being written when the others are settled.
      for (let epoch = 0; epoch < most - 1; epoch += 1) {
        expected.push(expected.length)
        await job.write(expected.slice(-1))
        due.push(...(await job.prepare()))
      }
      await job.commitUntilClear(due)
      job.settle()
      await job.forget(due)
      assert.deepEqual(await visible(environment), expected)
    }
    assert.deepEqual(job.failures, [])
  },

  'a writer that has no room left pushes back until it hears settled, and then goes on': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const expected: number[] = []
    const due: StoredCommit[] = []
    for (let epoch = 0; epoch < maxUnsettledEpochs(BOUNDS) * 2; epoch += 1) {
      expected.push(epoch)
      const writing = job.write([epoch])
      if (!(await isWrittenWithin(PATIENCE_MS, writing))) {
        await job.commitUntilClear(due)
        job.settle()
        assert.ok(await isWrittenWithin(DEADLINE_MS, writing), `still pushes back after settled, in epoch ${epoch + 1}`)
      }
      due.push(...(await job.prepare()))
    }
    await job.commitUntilClear(due)
    assert.deepEqual(await visible(environment), expected)
  },

  'a host that knows no checkpoint and never says settled is served as well': async (environment) => {
    await using job = await opened(environment, { generation: 1, isPlainHost: true })
    const expected: number[] = []
    for (let epoch = 0; epoch < maxUnsettledEpochs(BOUNDS) * 3; epoch += 1) {
      expected.push(epoch)
      assert.ok(await isWrittenWithin(DEADLINE_MS, job.write([epoch])), `waits for ever in epoch ${epoch + 1}`)
      await job.commitUntilClear(await job.prepare())
    }
    assert.deepEqual(await visible(environment), expected)
  },

  'an epoch without records gives no committable and no error': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    assert.deepEqual(await job.prepare(), [])
    await job.write([])
    assert.deepEqual(await job.prepare(), [])
    assert.deepEqual(await job.commit([]), [])
    const [first] = await epochs(job, [[1]])
    assert.deepEqual(await job.prepare(), [])
    await job.commitUntilClear(first)
    assert.deepEqual(await visible(environment), [1])
  },

  'the end of input may come twice': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    await job.write([1])
    const last = await job.prepare({ endOfInput: true })
    assert.deepEqual(await job.prepare({ endOfInput: true }), [])
    await job.commitUntilClear(last)
    assert.deepEqual(await job.prepare({ endOfInput: true }), [])
    assert.deepEqual(await visible(environment), [1])
  },

  'the cut is where prepare is called, not where it resolves': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    if (!job.overlapsPrepare) return
    await job.write([1])
    const preparing = job.prepare()
    const writing = job.write([2])
    const first = await preparing
    await writing
    const second = await job.prepare()
    await job.commitUntilClear(first)
    assert.deepEqual(await visible(environment), [1])
    await job.commitUntilClear(second)
    assert.deepEqual(await visible(environment), [1, 2])
  },

  [`an epoch of ${BIG_EPOCH} records is visible whole and in order`]: async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const numbers = Array.from({ length: BIG_EPOCH }, (_, index) => index)
    for (let at = 0; at < BIG_EPOCH; at += BATCH) await job.write(numbers.slice(at, at + BATCH))
    const stored = await job.prepare()
    await job.commitUntilClear(stored)
    assert.deepEqual(await environment.readVisible(), numbers)
    assert.deepEqual(job.failures, [])
  },

  'a failing commit is never taken for a commit, and asking again is clear': async (environment) => {
    if (environment.failCommits === undefined) return
    await using job = await opened(environment, { generation: 1 })
    const [first, second] = await epochs(job, [[1], [2]])
    let heal = environment.failCommits('before', Infinity)
    for (const { kind } of await job.commit(first)) assert.match(kind, /^(retry|unknown)$/)
    heal()
    assert.deepEqual(await visible(environment), [])
    for (const kind of await job.commitUntilClear(first)) assert.equal(kind, 'committed')
    heal = environment.failCommits('after', Infinity)
    for (const { kind } of await job.commit(second)) assert.match(kind, /^(retry|unknown)$/)
    heal()
    for (const kind of await job.commitUntilClear(second)) assert.match(kind, /^(already-)?committed$/)
    assert.deepEqual(await visible(environment), [1, 2])
  },

  'nothing becomes visible behind a commit that failed (C6)': async (environment) => {
    if (environment.failCommits === undefined) return
    await using job = await opened(environment, { generation: 1 })
    const due = (await epochs(job, [[1], [2], [3]])).flat()
    const heal = environment.failCommits('before', 1)
    for (const { kind } of await job.commit(due)) assert.match(kind, /^(retry|unknown)$/)
    heal()
    assert.deepEqual(await visible(environment), [])
    await job.commitUntilClear(due)
    assert.deepEqual(await visible(environment), [1, 2, 3])
  },

  'what a consumer took at once does not come back, whoever commits again (F33)': async (environment) => {
    if (environment.takeVisible === undefined) return
    await using job = await opened(environment, { generation: 1 })
    const [first, second] = await epochs(job, [[1, 2], [3]])
    await job.commitUntilClear(first)
    assert.deepEqual(sorted(await environment.takeVisible()), [1, 2])
    assert.deepEqual(await job.commit(first), already(first))
    await using other = new SinkGeneration(environment, { generation: 2 })
    assert.deepEqual(await other.commit([...first, ...second]), [...already(first), ...committed(second)])
    assert.deepEqual(sorted(await environment.takeVisible()), [3])
    assert.deepEqual(await job.commit([...first, ...second]), already([...first, ...second]))
    assert.deepEqual(await visible(environment), [])
  },

  'prepared data that is gone is reported as lost (F18)': async (environment) => {
    if (environment.destroyPrepared === undefined) return
    await using job = await opened(environment, { generation: 1 })
    const [first, second] = await epochs(job, [[1], [2]])
    await job.commitUntilClear(first)
    await environment.destroyPrepared()
    const [outcome] = await job.commit(second)
    assert.equal(outcome?.kind, 'lost')
    assert.ok(outcome.kind === 'lost' && outcome.reason.length > 10, 'a loss must say what is gone')
    assert.deepEqual(await visible(environment), [1])
  },

  'forget takes away the evidence of what it names, and of nothing else': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const [first, second, third] = await epochs(job, [[1], [2], [3]])
    await job.commitUntilClear([...first, ...second])
    await job.forget(first)
    await job.forget(first)
    if (environment.takeVisible !== undefined) assert.deepEqual(sorted(await environment.takeVisible()), [1, 2])
    assert.deepEqual(await job.commit(second), already(second))
    assert.deepEqual(await job.commit(third), committed(third))
    await job.forget([...second, ...third])
    assert.deepEqual((await environment.leftovers?.()) ?? [], [])
    assert.deepEqual(await visible(environment), environment.takeVisible === undefined ? [1, 2, 3] : [3])
  },

  'inspect tells prepared from committed': async (environment) => {
    await using job = await opened(environment, { generation: 1 })
    const [first, second] = await epochs(job, [[1], [2]])
    await job.commitUntilClear(first)
    const answers = await job.inspect([...first, ...second])
    if (answers === undefined) return
    assert.deepEqual(answers, [...first.map(() => 'committed'), ...second.map(() => 'prepared')])
  },
}

export async function opened<In, C, W>(
  environment: SinkEnvironment<In, C, W>,
  options: GenerationOptions,
): Promise<SinkGeneration<In, C, W>> {
  const generation = new SinkGeneration(environment, options)
  await generation.open()
  return generation
}

/** Writes and prepares one epoch after another. */
export async function epochs<In, C, W, const Numbers extends readonly (readonly number[])[]>(
  job: SinkGeneration<In, C, W>,
  numbers: Numbers,
): Promise<{ -readonly [Index in keyof Numbers]: StoredCommit[] }> {
  const prepared: StoredCommit[][] = []
  for (const epoch of numbers) {
    await job.write(epoch)
    prepared.push(await job.prepare())
  }
  return prepared as { -readonly [Index in keyof Numbers]: StoredCommit[] }
}

async function isWrittenWithin(patienceMs: number, writing: Promise<void>): Promise<boolean> {
  const alarm = new AbortController()
  const late = nodeRuntime(silent)
    .timers.sleep(patienceMs, alarm.signal)
    .catch(() => undefined)
  try {
    return await Promise.race([writing.then(() => true), late.then(() => false)])
  } finally {
    alarm.abort()
  }
}

export async function visible<In, C, W>(environment: SinkEnvironment<In, C, W>): Promise<readonly number[]> {
  return sorted(await environment.readVisible())
}

export function sorted(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((a, b) => a - b)
}

export function committed(stored: readonly StoredCommit[]): readonly { readonly kind: 'committed' }[] {
  return stored.map(() => ({ kind: 'committed' }))
}

export function already(stored: readonly StoredCommit[]): readonly { readonly kind: 'already-committed' }[] {
  return stored.map(() => ({ kind: 'already-committed' }))
}
