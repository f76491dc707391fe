import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { FencedError, parseLineageId } from '../../engine/api/index.ts'
import { Entries } from '../../engine/coordinator/entries.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'

const runtime = nodeRuntime()
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
    expect(await paused.hasMarkAfter(started.seq)).toBe(true)
  },
)
