/** Jobs know nothing of each other, also in one program and one store. */
import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { runJob } from '../../engine/coordinator/run-job.ts'
import { defineJob } from '../../engine/graph/define-job.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { callbackSink } from '../../sinks/callback/sink.ts'
import { generatorSource } from '../../sources/generator/source.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

test('several jobs run side by side in one program, each with its own parallelism', async () => {
  const store = memoryStore()
  const runtime = nodeRuntime(silent)
  const seen = new Map<string, number[]>()
  const run = (id: string, parallelism: number) =>
    runJob({
      definition: defineJob({
        id,
        parallelism,
        guarantee: 'at-least-once',
        build(flow) {
          flow
            .source('numbers', generatorSource({ count: 1_000, seed: 1, generate: (index) => index }))
            .rebalance()
            .keyBy((one) => one % 10)
            .process('same', { onRecord: (one, { emit }) => emit(one) })
            .sink(
              'seen',
              callbackSink<unknown>(({ values }) => {
                seen.set(id, [...(seen.get(id) ?? []), ...values.map(Number)])
              }),
            )
        },
      }),
      settings: {},
      store,
      runtime,
      baseDirectory: '.',
      codeIdentity: 'code',
      holder: { bootId: 'boot', netNamespace: 'net', pid: 1, host: 'here', socket: id },
      isHolderAlive: () => Promise.resolve(false),
      stopSignal: new AbortController().signal,
    })
  const ends = await Promise.all([run('one', 1), run('two', 2), run('five', 5)])
  expect(ends).toEqual([{ state: 'FINISHED' }, { state: 'FINISHED' }, { state: 'FINISHED' }])
  const numbers = Array.from({ length: 1_000 }, (_, index) => index)
  for (const id of ['one', 'two', 'five']) expect(seen.get(id)?.toSorted((a, b) => a - b)).toEqual(numbers)
})
