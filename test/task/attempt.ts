/** One attempt of a job under test: the task, a blob store in memory, and what the task has said. */
import { createHash } from 'node:crypto'
import type { Runtime } from '../../engine/api/index.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import type { Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { FlowBuilder } from '../../engine/graph/flow-builder.ts'
import type { Flow } from '../../engine/graph/stream.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import type { FromTask } from '../../engine/task/messages.ts'
import { startTask, type Task } from '../../engine/task/task.ts'
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

export type Acknowledged = Extract<FromTask, { kind: 'acknowledged' }>

export interface AttemptOptions {
  readonly blobs?: MemoryBlobs
  readonly restored?: Manifest | null
  readonly generation?: number
  readonly runtime?: Runtime
}

export class TestAttempt implements AsyncDisposable {
  readonly said: FromTask[] = []
  readonly blobs: MemoryBlobs
  readonly generation: number
  readonly #abort = new AbortController()
  #task: Task | undefined
  #listener: () => void = () => undefined

  private constructor(options: AttemptOptions) {
    this.blobs = options.blobs ?? new MemoryBlobs()
    this.generation = options.generation ?? 1
  }

  static async start(graph: JobGraph, options: AttemptOptions = {}): Promise<TestAttempt> {
    const attempt = new TestAttempt(options)
    attempt.#task = await startTask({
      graph,
      runtime: options.runtime ?? runtime,
      names: { job: 'job', lineage: 'abcdefgh', generation: attempt.generation },
      baseDirectory: '.',
      restored: options.restored ?? null,
      dropped: [],
      maxParallelism: 128,
      checkpoint: DEFAULT_CHECKPOINT_POLICY,
      store: attempt.blobs,
      send: (message) => {
        attempt.said.push(message)
        attempt.#listener()
      },
      signal: attempt.#abort.signal,
    })
    return attempt
  }

  get task(): Task {
    if (this.#task === undefined) throw new Error('not started')
    return this.#task
  }

  /** The first message of this kind (of this checkpoint), said or to come. */
  async heard<Kind extends FromTask['kind']>(
    kind: Kind,
    checkpoint?: number,
  ): Promise<Extract<FromTask, { kind: Kind }>> {
    const isIt = (one: FromTask): one is Extract<FromTask, { kind: Kind }> =>
      one.kind === kind && (checkpoint === undefined || ('checkpoint' in one && one.checkpoint === checkpoint))
    const { promise, resolve, reject } = Promise.withResolvers<Extract<FromTask, { kind: Kind }>>()
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
    await this.#task?.dispose()
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
