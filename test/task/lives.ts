/**
 * Whole lives of a job over its tasks, seeded: batch sizes, polls that wait, barriers anywhere, checkpoints given up, declined or
 * acknowledged in vain, prepares that come late, crashes, restores at the same or another parallelism.
 */
import type { Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import { committablesByOperator } from '../../engine/coordinator/committing.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { seeded } from '../simulation/virtual-time.ts'
import { MemoryBlobs, runtime, TestAttempt, type Acknowledged } from './attempt.ts'
import { MemorySink, type MemorySource, type Prepared } from './in-memory.ts'

export interface World {
  readonly random: () => number
  readonly sources: readonly MemorySource[]
  readonly blobs: MemoryBlobs
  /** Visible output by sink. */
  readonly visible: Map<string, unknown[]>
  readonly committed: Set<string>
  readonly faults: Faults
  /** The final checkpoint, once there is one. */
  last: Manifest | undefined
}

export interface Faults {
  crashes: number
  abandoned: number
  declined: number
  late: number
  afterEnd: number
  /** Restores at another parallelism than before. */
  rescales: number
}

export const NO_FAULTS: Faults = { crashes: 0, abandoned: 0, declined: 0, late: 0, afterEnd: 0, rescales: 0 }

/** How a broken task would answer. */
export type Mutant = (
  operators: readonly OperatorSnapshot[],
  facts: { checkpoint: number; world: World },
) => readonly OperatorSnapshot[]

export const honest: Mutant = (operators) => operators

export interface Lives {
  readonly seed: number
  createSources(random: () => number): readonly MemorySource[]
  createGraph(world: World): JobGraph
  readonly mutant?: Mutant
  /** Drawn for each attempt; default 1. */
  parallelism?(random: () => number): number
}

interface Life {
  restored: Manifest | null
  checkpoint: number
  generation: number
  parallelism: number
}

/** Runs until a final checkpoint has been committed. */
export async function live(lives: Lives): Promise<World> {
  const random = seeded(lives.seed)
  const sources = lives.createSources(random)
  for (const source of sources) {
    source.batchSize = () => Math.floor(random() * 9)
    source.beforeAnswer = () => (random() < 0.5 ? turns(Math.floor(random() * 6)) : undefined)
  }
  const world: World = {
    random,
    sources,
    blobs: new MemoryBlobs(),
    visible: new Map(),
    committed: new Set(),
    faults: { ...NO_FAULTS },
    last: undefined,
  }
  const life: Life = { restored: null, checkpoint: 0, generation: 0, parallelism: 1 }
  for (let generation = 1; generation < 60; generation += 1) {
    life.generation = generation
    const parallelism = lives.parallelism?.(random) ?? 1
    if (life.restored !== null && parallelism !== life.parallelism) world.faults.rescales += 1
    life.parallelism = parallelism
    if (await attempt(world, life, lives)) return world
    world.faults.crashes += 1
  }
  throw new Error(`seed ${lives.seed} never ends`)
}

/** A sink that takes its time. */
export function slowSink({ random }: World): MemorySink {
  const sink = new MemorySink(random() < 0.5)
  sink.beforePrepared = () => turns(Math.floor(random() * 8))
  sink.onWrite = () => (random() < 0.2 ? turns(2) : undefined)
  return sink
}

/** One attempt; true when the job has ended, false after a crash. */
async function attempt(world: World, life: Life, lives: Lives): Promise<boolean> {
  const { mutant = honest } = lives
  const { random, blobs, faults } = world
  for (const source of world.sources) source.readerPositions.clear()
  await using task = await TestAttempt.start(lives.createGraph(world), {
    blobs,
    restored: life.restored,
    generation: life.generation,
    parallelism: life.parallelism,
    endsSources: false,
  })
  const crashAfter = faults.crashes < 4 ? 1 + Math.floor(random() * 8) : Number.POSITIVE_INFINITY
  for (let round = 1; ; round += 1) {
    await turns(Math.floor(random() * 12))
    // As the coordinator does: while no checkpoint is in flight.
    task.endSources()
    if (random() < 0.5) await turns(Math.floor(random() * 4))
    if (round >= crashAfter) return false
    if (round > 300) throw new Error('the job does not end')
    life.checkpoint += 1
    const { checkpoint } = life
    const fails = random() < 0.15
    blobs.beforePut = () => (fails && random() < 0.7 ? Promise.reject(new Error('disk full')) : Promise.resolve())
    task.trigger(checkpoint, life.restored?.checkpoint ?? null)
    if (random() < 0.2) {
      faults.abandoned += 1
      await turns(Math.floor(random() * 10))
      // Of a slow network the barrier of the next one may come first.
      if (random() < 0.5) task.task.handle({ kind: 'given-up', checkpoint })
      continue
    }
    const answer = await resolved(task, checkpoint)
    if (answer === undefined || random() < 0.1) {
      if (answer === undefined) faults.declined += 1
      else faults.late += 1
      if (random() < 0.5) task.task.handle({ kind: 'given-up', checkpoint })
      continue
    }
    const operators = mutant(answer.operators, { checkpoint, world })
    life.restored = task.manifest(checkpoint, operators)
    commit(world, life.restored)
    const isFinal = answer.operators.every((one) => one.ended)
    if (isFinal) world.last = life.restored
    // As if another task had not ended yet: the job goes on from a checkpoint after the end.
    if (isFinal && (faults.afterEnd > 0 || random() < 0.3)) return true
    if (isFinal) {
      faults.afterEnd += 1
      return false
    }
    // The barrier of the next one may be faster.
    if (random() < 0.8) task.task.handle({ kind: 'completed', checkpoint })
    if (random() < 0.5) task.task.handle({ kind: 'settled', through: checkpoint })
  }
}

async function resolved(task: TestAttempt, checkpoint: number): Promise<Acknowledged | undefined> {
  for (;;) {
    const failed = task.said.find((one) => one.kind === 'failed')
    if (failed !== undefined) throw failed.error
    const answer = task.said.find((one) => 'checkpoint' in one && one.checkpoint === checkpoint)
    if (answer?.kind === 'acknowledged') return answer
    if (answer?.kind === 'declined') return undefined
    await turns(1)
  }
}

/** Idempotent, as committers are: by the name of what was prepared. */
function commit(world: World, manifest: Manifest): void {
  for (const [operator, committables] of committablesByOperator(manifest)) {
    for (const stored of committables) {
      const prepared = JSON.parse(Buffer.from(stored.bytes, 'base64').toString()) as Prepared
      if (world.committed.has(prepared.name)) continue
      world.committed.add(prepared.name)
      const visible = world.visible.get(operator) ?? []
      world.visible.set(operator, [...visible, ...prepared.values])
    }
  }
}

export async function turns(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await runtime.timers.yieldToEventLoop()
}
