/** Whether another process still runs the job, where only its log can say so. */
import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import type { Runtime } from '../../engine/api/index.ts'
import { encodeLogEntry, logKey } from '../../engine/checkpoint/log-entry.ts'
import { runJob } from '../../engine/coordinator/run-job.ts'
import { defineJob } from '../../engine/graph/define-job.ts'
import { callbackSink } from '../../sinks/callback/sink.ts'
import { generatorSource } from '../../sources/generator/source.ts'
import { sampleEntry } from '../checkpoint/samples.ts'
import { runtime as real } from '../task/attempt.ts'

test('a start that was asleep while it watched does not take its own silence for that of the leader', async () => {
  const store = memoryStore()
  const leader = sampleEntry({ seq: 1, kind: 'started' })
  await store.create(logKey(leader.job, 1), encodeLogEntry(leader))
  const alive = sampleEntry({ seq: 2, kind: 'alive' })
  let [nowMs, sleeps, isAsleep] = [0, 0, false]
  const runtime: Runtime = {
    ...real,
    clock: {
      now: () => nowMs,
      // Stopped behind a look at the log, for ten seconds: the leader goes on.
      monotonicMs: () => {
        if (sleeps === 3 && !isAsleep) {
          isAsleep = true
          nowMs += 10_000
          void store.create(logKey(alive.job, 2), encodeLogEntry(alive))
        }
        return nowMs
      },
    },
    timers: {
      ...real.timers,
      sleep: (ms) => {
        nowMs += ms
        sleeps += 1
        return Promise.resolve()
      },
    },
  }
  const source = generatorSource({ count: 10, seed: 1, generate: (index) => index })
  const started = runJob({
    definition: defineJob({
      id: leader.job,
      guarantee: 'at-least-once',
      build: (flow) => {
        flow.source('numbers', source).sink(
          'seen',
          callbackSink(() => undefined),
        )
      },
    }),
    settings: {},
    store,
    runtime,
    baseDirectory: '.',
    codeIdentity: 'code',
    holder: { ...leader.holder, socket: 'sluice-1', pid: 43 },
    isHolderAlive: () => Promise.resolve(null),
    stopSignal: new AbortController().signal,
  })
  await expect(started).rejects.toThrow(/is run by process 42/)
})
