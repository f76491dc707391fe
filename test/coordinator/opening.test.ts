/** Tasks that cannot be opened, and tasks that never answer beside them. */
import { expect, test } from 'vitest'
import { InvariantViolation } from '../../engine/api/index.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { callbackSink } from '../../sinks/callback/sink.ts'
import { generatorSource } from '../../sources/generator/source.ts'
import { JobWorld } from './job-run.ts'

type Opening = ReturnType<ReturnType<typeof callbackSink>['createWriter']>

/** A job of two sinks in vertices of their own; how their writers are opened. */
function jobOf(open: { readonly first: () => Opening; readonly second: (signal: AbortSignal) => Opening }) {
  const sinkOf = (createWriter: (context: { readonly signal: AbortSignal }) => Opening) => ({
    ...callbackSink<number>(() => undefined),
    createWriter,
  })
  return {
    guarantee: 'at-least-once',
    restart: { kind: 'fixed-delay', attempts: 2, delayMs: 10 },
    build(flow) {
      const numbers = flow.source('numbers', generatorSource({ count: 10, seed: 1, generate: (index) => index }))
      numbers.sink('first', sinkOf(open.first), { parallelism: 2 })
      numbers.sink(
        'second',
        sinkOf(({ signal }) => open.second(signal)),
        { parallelism: 3 },
      )
    },
  } satisfies Partial<JobDefinition>
}

const refuse = async (): Opening => {
  throw new Error('the service refuses')
}

test('a writer that cannot be created fails the attempt, and those that are slow beside it are told', async () => {
  const world = new JobWorld({})
  const second = (signal: AbortSignal): Opening =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  const run = world.start({ definition: jobOf({ first: refuse, second }) })
  expect(await run.ended()).toMatchObject({ state: 'FAILED', reason: expect.stringContaining('the service refuses') })
  expect(run.count('restarting')).toBe(2)
})

test('one that never answers beside it may still be at work: the process is told to exit, no attempt begins beside it', async () => {
  const world = new JobWorld({})
  const run = world.start({ definition: jobOf({ first: refuse, second: () => new Promise(() => undefined) }) })
  await expect(run.ended()).rejects.toThrow(InvariantViolation)
  expect(String(run.error)).toMatch(/the service refuses.*did not let go within 30000 ms; the process must exit/)
  expect(run.count('restarting')).toBe(0)
  expect(world.time.monotonicMs()).toBeLessThan(60_000)
})
