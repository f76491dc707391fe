/** One attempt of a job under test: the task, a blob store in memory, and what the task has said. */
import { createHash } from 'node:crypto'
import type { Runtime } from '../../engine/api/index.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import type { Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { FlowBuilder } from '../../engine/graph/flow-builder.ts'
import type { Flow } from '../../engine/graph/stream.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { Collection, type FromTasks } from '../../engine/coordinator/collection.ts'
import { shareSplits } from '../../engine/coordinator/splits.ts'
import { taskGraphOf } from '../../engine/graph/task-graph.ts'
import type { TaskGroup } from '../../engine/task/host.ts'
import { startTasks } from '../../engine/task/local-host.ts'
import type { TaskLimits } from '../../engine/task/task.ts'
import type { ToTask } from '../../engine/task/messages.ts'
import type { Prepared } from './in-memory.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
export const runtime: Runtime = nodeRuntime(silent)
const DEADLINE_MS = 5_000

export function graphOf(build: (flow: Flow) => void): JobGraph {
  const flow = new FlowBuilder()
  build(flow)
  return { nodes: flow.nodes, guarantee: 'exactly-once' }
}

export class MemoryBlobs {
  readonly blobs = new Map<string, Uint8Array>()
  /** Awaited by each put; a rejection is a store that fails. */
  beforePut: () => Promise<void> = () => Promise.resolve()

  async putBlob(operator: string, bytes: Uint8Array) {
    await this.beforePut()
    const key = `${operator}-${this.blobs.size}`
    this.blobs.set(key, Uint8Array.from(bytes))
    return { key, sizeBytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') }
  }

  async getBlob({ key }: { readonly key: string }): Promise<Uint8Array> {
    const bytes = this.blobs.get(key)
    if (bytes === undefined) throw new Error(`blob ${key} is not there`)
    return bytes
  }
}

export type Acknowledged = Extract<FromTasks, { kind: 'acknowledged' }>

export interface AttemptOptions {
  readonly blobs?: MemoryBlobs
  readonly restored?: Manifest | null
  readonly generation?: number
  readonly runtime?: Runtime
  readonly parallelism?: number
  readonly limits?: Partial<TaskLimits>
  /** Sources are told to end as soon as they are exhausted; default true. */
  readonly endsSources?: boolean
}

export class TestAttempt implements AsyncDisposable {
  readonly said: FromTasks[] = []
  readonly blobs: MemoryBlobs
  readonly generation: number
  readonly #abort = new AbortController()
  #tasks: TaskGroup | undefined
  #listener: () => void = () => undefined

  private constructor(options: AttemptOptions) {
    this.blobs = options.blobs ?? new MemoryBlobs()
    this.generation = options.generation ?? 1
    this.#endsSources = options.endsSources ?? true
  }

  static async start(graph: JobGraph, options: AttemptOptions = {}): Promise<TestAttempt> {
    const attempt = new TestAttempt(options)
    const restored = options.restored ?? null
    const parallelism = options.parallelism ?? 1
    const where = { runtime: options.runtime ?? runtime, baseDirectory: '.', signal: attempt.#abort.signal }
    const collection = new Collection(graph, taskGraphOf(graph.nodes, parallelism))
    const names = { job: 'job', lineage: 'abcdefgh', generation: attempt.generation }
    attempt.#tasks = await startTasks({
      graph,
      runtime: where.runtime,
      limits: options.limits ?? {},
      spec: {
        names,
        parallelism,
        maxParallelism: 128,
        baseDirectory: '.',
        restored,
        dropped: [],
        checkpoint: DEFAULT_CHECKPOINT_POLICY,
        splits: await shareSplits({ ...where, graph, job: 'job', parallelism, restored, dropped: [] }),
      },
      port: {
        store: attempt.blobs,
        send: (task, message) => {
          const said = collection.take(task, message)
          if (said !== undefined) attempt.#hear(said)
        },
        signal: attempt.#abort.signal,
      },
    })
    if (attempt.#endsSources) attempt.endSources()
    return attempt
  }

  /** All of them, as if they were one. */
  get task(): { handle(message: ToTask): void; dispose(): Promise<void> } {
    const tasks = this.#tasks
    if (tasks === undefined) throw new Error('not started')
    return { handle: (message) => tasks.tell(message), dispose: () => tasks.dispose() }
  }

  readonly #exhausted: string[] = []
  readonly #endsSources: boolean

  /** A coordinator ends a source while no checkpoint is in flight; here it does so at once. */
  #hear(said: FromTasks): void {
    this.said.push(said)
    if (said.kind === 'source-exhausted') {
      this.#exhausted.push(said.source)
      if (this.#endsSources) this.endSources()
    }
    this.#listener()
  }

  endSources(): void {
    const tasks = this.#tasks
    if (tasks === undefined) return
    for (const source of this.#exhausted.splice(0)) tasks.tell({ kind: 'end', source })
  }

  /** The first message of this kind (of this checkpoint), said or to come. */
  async heard<Kind extends FromTasks['kind']>(
    kind: Kind,
    checkpoint?: number,
  ): Promise<Extract<FromTasks, { kind: Kind }>> {
    const isIt = (one: FromTasks): one is Extract<FromTasks, { kind: Kind }> =>
      one.kind === kind && (checkpoint === undefined || ('checkpoint' in one && one.checkpoint === checkpoint))
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromTasks, { kind: Kind }>>()
    const look = (): void => {
      const found = this.said.find(isIt)
      if (found !== undefined) resolve(found)
      const failed = this.said.find((one) => one.kind === 'failed')
      if (failed !== undefined && kind !== 'failed') reject(failed.error)
    }
    this.#listener = look
    look()
    const alarm = new AbortController()
    const late = runtime.timers.sleep(DEADLINE_MS, alarm.signal).then(() => {
      throw new Error(
        `nothing heard of ${kind} ${checkpoint ?? ''}; only ${this.said.map((one) => one.kind).join(', ')}`,
      )
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      late.catch(() => undefined)
      alarm.abort()
    }
  }

  trigger(checkpoint: number, base: number | null): void {
    this.task.handle({ kind: 'trigger', checkpoint, base, final: false })
  }

  /** A checkpoint from trigger to completion. */
  async complete(checkpoint: number, base: number | null): Promise<Manifest> {
    this.trigger(checkpoint, base)
    const { operators } = await this.heard('acknowledged', checkpoint)
    this.task.handle({ kind: 'completed', checkpoint })
    return this.manifest(checkpoint, operators)
  }

  manifest(checkpoint: number, operators: readonly OperatorSnapshot[]): Manifest {
    const manifest = {
      format: 1 as const,
      job: 'job',
      lineage: 'abcdefgh',
      generation: this.generation,
      checkpoint,
      maxParallelism: 128,
      operators,
    }
    // As it comes back from the store, on another day.
    return JSON.parse(JSON.stringify(manifest)) as Manifest
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the test is over'))
    await this.#tasks?.dispose()
  }
}

export function preparedIn(operators: readonly OperatorSnapshot[], sink: string): readonly Prepared[] {
  const stored = operators.find((one) => one.operator === sink)?.committables ?? []
  return stored.map(({ bytes }) => JSON.parse(Buffer.from(bytes, 'base64').toString()) as Prepared)
}

export function valuesIn(operators: readonly OperatorSnapshot[], sink: string): readonly unknown[] {
  return preparedIn(operators, sink).flatMap((one) => one.values)
}

export function positionIn(operators: readonly OperatorSnapshot[], source: string, split: string): unknown {
  return operators.find((one) => one.operator === source)?.splits?.find((one) => one.split.id === split)?.position
}

/** Until an observable fact holds, turning the event loop. */
export async function until(isTrue: () => boolean): Promise<void> {
  const startedAtMs = runtime.clock.monotonicMs()
  while (!isTrue()) {
    if (runtime.clock.monotonicMs() - startedAtMs > DEADLINE_MS) throw new Error(`never: ${isTrue.toString()}`)
    await runtime.timers.yieldToEventLoop()
  }
}

export function splitsOf({ operators }: Manifest): Extract<ToTask, { kind: 'retained' }>['splits'] {
  return Object.fromEntries(
    operators.flatMap(({ operator, splits }) => (splits === undefined ? [] : [[operator, splits]])),
  )
}
