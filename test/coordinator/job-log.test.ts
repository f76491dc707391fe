import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { CorruptCheckpointError, FencedError, parseLineageId, RetryableError } from '../../engine/api/index.ts'
import { Entries } from '../../engine/coordinator/entries.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'

const runtime = nodeRuntime()
const holder = { bootId: 'boot', netNamespace: 'net', socket: 'socket', pid: 1, host: 'host' }

function entries(): Entries {
  return new Entries(
    {
      job: 'job',
      lineage: parseLineageId('lineage1'),
      holder,
      settings: {},
      codeIdentity: '',
      planHash: '',
      parallelism: 1,
      scopes: [],
      acceptLoss: null,
      rollbackTo: undefined,
    },
    runtime,
  )
}

async function appendAlive(log: JobLog, made: Entries, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await log.append((seq, newest) => {
      if (newest === undefined) throw new Error('nothing to extend')
      return made.extend(seq, newest, { kind: 'alive' })
    })
  }
}

test(
  'ten thousand entries leave a bounded log, and the newest is found by few reads (F29)',
  { timeout: 60_000 },
  async () => {
    let reads = 0
    const store = memoryStore({
      before: (operation) => {
        if (operation.name === 'get') reads += 1
      },
    })
    const log = await JobLog.open(store, 'job', runtime)
    const made = entries()
    await log.append((seq, newest) => made.started(seq, newest, 0))
    await appendAlive(log, made, 10_000)
    const kept: string[] = []
    for await (const key of store.list('job/log/')) kept.push(key)
    expect(kept.length).toBeLessThan(2_100)
    expect(kept.toSorted()[0]).toBe('job/log/000000000001') // `started` entries stay: an old coordinator must always collide.
    reads = 0
    expect((await JobLog.open(store, 'job', runtime)).newest?.seq).toBe(10_001)
    expect(reads).toBeLessThan(40)
  },
)

test('an older generation that goes on after a start is fenced (C3)', async () => {
  const store = memoryStore()
  const old = await JobLog.open(store, 'job', runtime)
  const made = entries()
  await old.append((seq, newest) => made.started(seq, newest, 0))
  const young = await JobLog.open(store, 'job', runtime)
  await young.append((seq, newest) => entries().started(seq, newest, 0))
  await expect(appendAlive(old, made, 1)).rejects.toThrow(FencedError)
  await appendAlive(young, entries(), 3)
  expect((await JobLog.open(store, 'job', runtime)).newest).toMatchObject({ seq: 5, generation: 2 })
})

test(
  'a start whose number was cleaned away long ago sees that its view was stale (C3)',
  { timeout: 60_000 },
  async () => {
    const store = memoryStore()
    const paused = await JobLog.open(store, 'job', runtime)
    const log = await JobLog.open(store, 'job', runtime)
    const made = entries()
    await log.append((seq, newest) => made.started(seq, newest, 0))
    await appendAlive(log, made, 3_100)
    await store.delete('job/log/000000000001')
    const started = await paused.append((seq, newest) => entries().started(seq, newest, 0))
    await expect(paused.assertNotStale(started.seq)).rejects.toThrow(FencedError)
  },
)

test('a store without space is asked until it has some again, and it is said meanwhile (F16)', async () => {
  let nowMs = 0
  let said = 0
  let refused = 0
  const hour: typeof runtime = {
    ...runtime,
    clock: { now: () => nowMs, monotonicMs: () => nowMs },
    timers: { ...runtime.timers, sleep: (delayMs) => Promise.resolve(void (nowMs += delayMs)) },
    logger: { ...runtime.logger, warn: () => void (said += 1) },
  }
  const store = memoryStore({
    before: ({ name }) => {
      if (name !== 'create' || nowMs >= 60_000) return
      refused += 1
      throw new RetryableError('no space left; make room there')
    },
  })
  const log = await JobLog.open(store, 'job', hour)
  await log.append((seq, newest) => entries().started(seq, newest, 0))
  expect(refused).toBe(1_200)
  expect(said).toBe(12)
  expect((await JobLog.open(store, 'job', runtime)).newest?.seq).toBe(1)
})

test('an entry that is missing in front of another is no end of the log (F15)', async () => {
  const store = memoryStore()
  const log = await JobLog.open(store, 'job', runtime)
  const made = entries()
  await log.append((seq, newest) => made.started(seq, newest, 0))
  await appendAlive(log, made, 8)
  await store.delete('job/log/000000000008')
  await expect(JobLog.open(store, 'job', runtime)).rejects.toThrow(CorruptCheckpointError)
  await expect(JobLog.open(store, 'job', runtime)).rejects.toThrow('job/log/000000000008 is missing')
})
