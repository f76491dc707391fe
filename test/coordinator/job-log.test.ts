import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  parseLineageId,
  RetryableError,
} from '../../engine/api/index.ts'
import { encodeLogEntry } from '../../engine/checkpoint/log-entry.ts'
import { Entries } from '../../engine/coordinator/entries.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'

const runtime = nodeRuntime()
const nothing = (): void => undefined
const silent = nodeRuntime({ debug: nothing, info: nothing, warn: nothing, error: nothing })
const holder = { bootId: 'boot', netNamespace: 'net', socket: 'socket', pid: 1, host: 'host' }

function entries(): Entries {
  return new Entries(
    {
      job: 'job',
      newLineage: parseLineageId('lineage1'),
      holder,
      settings: {},
      codeIdentity: '',
      planHash: '',
      parallelism: 1,
      scopes: [],
      acceptLoss: null,
      restoringAbove: () => undefined,
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
    expect(await paused.hasMarkAfter(started.seq)).toBe(true)
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
  expect(refused).toBeGreaterThan(25)
  expect(said).toBeGreaterThanOrEqual(10)
  expect(said).toBeLessThanOrEqual(13)
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

test('a full disk holds an append up, and it goes on when there is room again (F16)', async () => {
  let failures = 3
  const store = memoryStore({
    before: ({ name, key }) => {
      if (name !== 'create' || key.includes('mark') || failures === 0) return
      failures -= 1
      throw new RetryableError('no space left')
    },
  })
  const log = await JobLog.open(store, 'job', silent)
  expect(await log.append((seq, newest) => entries().started(seq, newest, 0))).toMatchObject({ seq: 1 })
  expect(failures).toBe(0)
})

test('a lost reply is recognised also when the entry cannot be read at first (F7)', async () => {
  let isReadable = true
  let creates = 0
  const store = memoryStore({
    before: ({ name }) => {
      if (name !== 'get' || isReadable) return
      isReadable = true
      throw new RetryableError('no answer')
    },
    after: ({ name }) => {
      if (name !== 'create') return
      creates += 1
      if (creates > 1) return
      isReadable = false
      throw new RetryableError('the reply was lost')
    },
  })
  const log = await JobLog.open(store, 'job', silent)
  const entry = await log.append((seq, newest) => entries().started(seq, newest, 0))
  expect(await JobLog.open(store, 'job', silent)).toMatchObject({ newest: { seq: 1, nonce: entry.nonce } })
})

test('appends take turns, and after one that is in doubt there is no other', async () => {
  let isBroken = false
  const store = memoryStore({
    after: ({ name }) => {
      if (isBroken && name === 'create') throw new InDoubtError('the fsync failed')
    },
  })
  const log = await JobLog.open(store, 'job', silent)
  const made = entries()
  await log.append((seq, newest) => made.started(seq, newest, 0))
  await Promise.all([appendAlive(log, made, 3), appendAlive(log, made, 3)])
  expect(log.newest?.seq).toBe(7)
  isBroken = true
  await expect(appendAlive(log, made, 1)).rejects.toThrow(InDoubtError)
  isBroken = false
  await expect(appendAlive(log, made, 1)).rejects.toThrow(InDoubtError)
  expect((await JobLog.open(store, 'job', silent)).newest?.seq).toBe(8)
})

test('an entry of an older release, which names no phase, is carried on', async () => {
  const store = memoryStore()
  const { phase: _, ...old } = entries().started(1, undefined, 0)
  await store.create('job/log/000000000001', encodeLogEntry(old))
  const log = await JobLog.open(store, 'job', silent)
  await log.append((seq, newest) => entries().started(seq, newest, 0))
  expect(log.newest).toMatchObject({ seq: 2, generation: 2, lineage: old.lineage, phase: 'starting' })
})

test('a log that was removed while the job ran gets no further entry, and the process is told to exit (C7)', async () => {
  const store = memoryStore()
  const log = await JobLog.open(store, 'job', runtime)
  const made = entries()
  await log.append((seq, newest) => made.started(seq, newest, 0))
  await appendAlive(log, made, 2)
  for (const key of store.snapshot().keys()) await store.delete(key)
  await expect(appendAlive(log, made, 1)).rejects.toThrow(InDoubtError)
  await expect(appendAlive(log, made, 1)).rejects.toThrow(/job\/log\/0*3, the newest entry of the log, is gone/)
  expect([...store.snapshot().keys()]).toEqual([])
})

test('an old process whose entry was cleaned away is fenced by the start above it (C3)', async () => {
  const store = memoryStore()
  const [old, made] = [await JobLog.open(store, 'job', runtime), entries()]
  await old.append((seq, newest) => made.started(seq, newest, 0))
  await appendAlive(old, made, 1)
  const next = await JobLog.open(store, 'job', runtime)
  await next.append((seq, newest) => entries().started(seq, newest, 0))
  await store.delete('job/log/000000000002')
  await expect(appendAlive(old, made, 1)).rejects.toThrow(FencedError)
})

test('a log whose newest entry cannot be looked at goes on', async () => {
  let isBroken = false
  const store = memoryStore({
    before: (operation) => {
      if (isBroken && operation.name === 'get') throw new RetryableError('not now')
    },
  })
  const log = await JobLog.open(store, 'job', runtime)
  const made = entries()
  await log.append((seq, newest) => made.started(seq, newest, 0))
  isBroken = true
  await appendAlive(log, made, 1)
  isBroken = false
  expect((await JobLog.open(store, 'job', runtime)).newest?.kind).toBe('alive')
})
