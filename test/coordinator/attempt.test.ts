/** The attempt alone, its world a literal: what becomes of acknowledgements that are late, doubled or not its own, and of what is due. */
import { expect, test } from 'vitest'
import type { CommitPermit } from '../../engine/api/index.ts'
import type { OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import { Attempt, type AttemptPort } from '../../engine/coordinator/attempt.ts'
import { CheckpointRequests } from '../../engine/coordinator/checkpoint-requests.ts'
import type { ToTask } from '../../engine/task/messages.ts'
import { sampleManifest, sampleOperator } from '../checkpoint/samples.ts'
import { NO_FAULTS } from '../simulation/plan.ts'
import { SimulatedProcess } from '../simulation/process.ts'
import { VirtualTime } from '../simulation/virtual-time.ts'

const POLICY = { intervalMs: 100, minPauseMs: 0, timeoutMs: 50, toleratedFailures: 3, maxUncommittedEpochs: 2 }
const OPERATORS = [sampleOperator('source'), sampleOperator('sink')]
const ENDED = OPERATORS.map((one): OperatorSnapshot => ({ ...one, ended: true }))

function createAttempt() {
  const time = new VirtualTime()
  const { runtime } = new SimulatedProcess(time, { number: 1, seed: 1, rates: NO_FAULTS, jumpMs: 0 })
  const told: ToTask[] = []
  const completed: number[] = []
  const committing: { readonly checkpoint: number; readonly done: () => void }[] = []
  let [next, durable, notes, refusals, looks] = [1, 0, 0, 0, 0]
  const port: AttemptPort = {
    complete: async ({ checkpoint, committedThrough }) => {
      if (refusals > 0) {
        refusals -= 1
        return { kind: 'not-stored', error: new Error('disk full') }
      }
      durable = committedThrough
      completed.push(checkpoint)
      const manifest = sampleManifest(checkpoint)
      return { kind: 'completed', permit: {} as unknown as CommitPermit, manifest, oldestRetained: manifest }
    },
    note: async (through) => {
      notes += 1
      durable = through
    },
    commit: ({ manifest }) =>
      new Promise((resolve) => {
        committing.push({ checkpoint: manifest.checkpoint, done: resolve })
      }),
    abandoned: () => undefined,
    get durableCommittedThrough() {
      looks += 1
      return durable
    },
    get newestCompleted() {
      return completed.at(-1) ?? null
    },
    nextCheckpoint: () => next++,
  }
  const requests = new CheckpointRequests()
  const attempt = new Attempt({
    port,
    policy: POLICY,
    runtime,
    requests,
    tell: (message) => told.push(message),
    onDrain: () => undefined,
  })
  const ended = attempt.run().catch((error: unknown) => error)
  let end: unknown
  void ended.then((value) => {
    end = value
  })
  const pass = async (ms: number): Promise<void> => {
    let isOver = false
    time.after(ms, { state: () => 'due', fire: () => (isOver = true) })
    await time.run(() => isOver)
    await time.run(() => true)
  }
  const triggers = (): readonly number[] =>
    told.flatMap((message) => (message.kind === 'trigger' ? [message.checkpoint] : []))
  const acknowledge = (checkpoint: number, operators: readonly OperatorSnapshot[] = OPERATORS): void =>
    attempt.post({ kind: 'acknowledged', checkpoint, operators, alignedMs: 0 })
  const facts = () => ({ end, notes, looks })
  const refuse = (count: number): void => {
    refusals = count
  }
  return { attempt, requests, told, completed, committing, pass, triggers, acknowledge, facts, refuse }
}

test('an acknowledgement that comes twice completes once; one of a checkpoint that was given up completes nothing (F12)', async () => {
  const { pass, triggers, acknowledge, completed } = createAttempt()
  await pass(1)
  acknowledge(1)
  acknowledge(1)
  await pass(1)
  expect(completed).toEqual([1])
  await pass(200)
  expect(triggers().slice(0, 3)).toEqual([1, 2, 3])
  acknowledge(2)
  acknowledge(7)
  await pass(1)
  expect(completed).toEqual([1])
  acknowledge(3)
  acknowledge(2)
  await pass(1)
  expect(completed).toEqual([1, 3])
})

test('a manifest that cannot be stored is an unsuccessful checkpoint, not the end of the attempt (F16)', async () => {
  const { pass, acknowledge, completed, refuse, facts, triggers } = createAttempt()
  await pass(1)
  refuse(3)
  for (let id = 1; id <= 3; id += 1) {
    acknowledge(id)
    await pass(101)
  }
  expect([completed, facts().end]).toEqual([[], undefined])
  acknowledge(triggers().at(-1) ?? 0)
  await pass(1)
  expect(completed).toEqual([4])
  expect(facts().end).toBeUndefined()
})

test('while too many epochs wait for their commit nothing is triggered, and nothing is looked at in a busy wait (C8)', async () => {
  const { pass, acknowledge, committing, triggers, facts } = createAttempt()
  await pass(1)
  acknowledge(1)
  await pass(101)
  acknowledge(2)
  await pass(1)
  const looks = facts().looks
  await pass(600_000)
  expect(triggers()).toEqual([1, 2])
  expect(facts().looks - looks).toBeLessThan(60)
  expect(committing.map((one) => one.checkpoint)).toEqual([1])
  committing[0]?.done()
  await pass(1)
  expect(triggers()).toEqual([1, 2, 3])
  expect(committing.map((one) => one.checkpoint)).toEqual([1, 2])
})

test('the last checkpoint ends the attempt once its commit is in the log, and no trigger comes after it', async () => {
  const { attempt, pass, acknowledge, committing, triggers, facts, told } = createAttempt()
  await pass(1)
  attempt.post({ kind: 'input-ended' })
  acknowledge(1, ENDED)
  await pass(5_000)
  expect([triggers(), facts()]).toEqual([[1], expect.objectContaining({ end: undefined, notes: 0 })])
  committing[0]?.done()
  await pass(1)
  expect(facts()).toMatchObject({ end: 'finished', notes: 1 })
  expect(told.at(-1)).toEqual({ kind: 'settled', through: 1 })
})

test('a stop that comes while a checkpoint is in flight takes another one, cut after it', async () => {
  const { attempt, pass, acknowledge, committing, triggers, facts } = createAttempt()
  await pass(1)
  attempt.post({ kind: 'stop' })
  acknowledge(1)
  await pass(1)
  committing[0]?.done()
  await pass(1)
  expect([triggers(), facts().end]).toEqual([[1, 2], undefined])
  acknowledge(2)
  await pass(1)
  committing[1]?.done()
  await pass(1)
  expect(facts().end).toBe('stopped')
})

test('who asks for a checkpoint gets the next one triggered, not the one in flight', async () => {
  const { requests, pass, acknowledge, triggers } = createAttempt()
  await pass(1)
  const heard: unknown[] = []
  void requests.request().then((outcome) => heard.push(outcome))
  acknowledge(1)
  await pass(1)
  expect([heard, triggers()]).toEqual([[], [1, 2]])
  await pass(60)
  expect(heard).toEqual([{ kind: 'not-completed', reason: 'checkpoint 2 was not acknowledged within 50 ms' }])
})
