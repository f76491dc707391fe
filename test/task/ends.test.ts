/** The end of a source in tasks that hear of it at their own time, as those in different workers do. */
import { expect, test } from 'vitest'
import { shareSplits } from '../../engine/coordinator/splits.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import type { AttemptSpec, TaskGroup } from '../../engine/task/host.ts'
import { startTasks } from '../../engine/task/local-host.ts'
import type { FromTask } from '../../engine/task/messages.ts'
import { graphOf, MemoryBlobs, runtime, until } from './attempt.ts'
import { MemorySink, MemorySource } from './in-memory.ts'

test('an end that was told before the trigger is in the cut of all subtasks, also of one that hears both at once (F24)', async () => {
  const parallelism = 2
  const graph = graphOf((flow) => {
    flow.source('a', new MemorySource({ a0: [1, 2], a1: [3] })).sink('out', new MemorySink())
  })
  const where = { baseDirectory: '.', parallelism, dropped: [], restored: null }
  const { signal } = new AbortController()
  const spec: AttemptSpec = {
    ...where,
    names: { job: 'job', lineage: 'abcdefgh', generation: 1 },
    maxParallelism: 128,
    checkpoint: DEFAULT_CHECKPOINT_POLICY,
    splits: await shareSplits({ ...where, graph, job: 'job', runtime, signal }),
  }
  const said: FromTask[] = []
  const open = (mine: number): Promise<TaskGroup> => {
    const unknown = (): never => {
      throw new Error('the job has no channels')
    }
    return startTasks({
      graph,
      spec,
      runtime,
      port: { store: new MemoryBlobs(), send: (_task, message) => said.push(message), signal },
      elsewhere: { isHere: ({ subtask }) => subtask === mine, writerTo: unknown, queueFrom: unknown },
    })
  }
  const [first, second] = [await open(0), await open(1)]
  const count = (kind: FromTask['kind']): number => said.filter((one) => one.kind === kind).length
  for (const group of [first, second]) group.tell({ kind: 'trigger', checkpoint: 1, base: null, final: false })
  await until(() => count('acknowledged') === 2)
  for (const group of [first, second]) group.tell({ kind: 'completed', checkpoint: 1 })
  await until(() => count('source-exhausted') === 2)
  first.tell({ kind: 'end', source: 'a' })
  await until(() => count('input-ended') === 1)
  first.tell({ kind: 'trigger', checkpoint: 2, base: 1, final: false })
  second.tell({ kind: 'end', source: 'a' })
  second.tell({ kind: 'trigger', checkpoint: 2, base: 1, final: false })
  await until(() => count('acknowledged') === 4)
  const ends = said.flatMap((one) =>
    one.kind === 'acknowledged' && one.checkpoint === 2 ? one.operators.map(({ ended }) => ended) : [],
  )
  expect(ends).toEqual([true, true, true, true])
  await Promise.all([first.dispose(), second.dispose()])
})
