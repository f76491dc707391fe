/**
 * Whole runs of the simulated job, steered by a test: virtual time, faults that are switched on and off, stop, cancel, requests. What the
 * simulation checks is checked here, too.
 */
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { jobStateOf, type JobState } from '../../engine/checkpoint/job-state.ts'
import { CheckpointRequests } from '../../engine/coordinator/checkpoint-requests.ts'
import { runJob, type RunEnd, type RunEvent, type RunOptions } from '../../engine/coordinator/run-job.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { NO_FAULTS, type Rates, type Strike } from '../simulation/plan.ts'
import { SimulatedProcess } from '../simulation/process.ts'
import { simulatedStore } from '../simulation/simulated-store.ts'
import { VirtualTime } from '../simulation/virtual-time.ts'
import { World } from '../simulation/world.ts'
import { compare, serialJob, type Outside } from './serial-job.ts'

export class JobWorld {
  readonly time = new VirtualTime()
  readonly world = new World('job', {})
  readonly outside: Outside
  readonly store = memoryStore()
  readonly #runs: JobRun[] = []

  constructor(lengths: Readonly<Record<string, number>>) {
    const { world } = this
    const [plain, counts] = [world.serviceOf('plain'), world.serviceOf('counts')]
    this.outside = { truth: world.truth, lengths: Object.values(lengths), plain, counts }
  }

  get state(): JobState | undefined {
    const { newest } = this.outside.truth
    return newest === undefined ? undefined : jobStateOf(newest)
  }

  start(
    options: {
      readonly definition?: Partial<JobDefinition>
      readonly run?: Partial<RunOptions>
      readonly rates?: Partial<Rates>
      readonly strike?: Strike
      readonly edit?: (definition: JobDefinition) => JobDefinition
    } = {},
  ): JobRun {
    const run = new JobRun(this, this.#runs.length + 1, options)
    this.#runs.push(run)
    return run
  }

  /** Until a fact holds. @throws when nothing happens any more that could make it hold */
  async until(isTrue: () => boolean): Promise<void> {
    if (!(await this.time.run(isTrue))) throw new Error(`never: ${isTrue.toString()}`)
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.time.monotonicMs() + ms
    let isOver = false
    this.time.after(ms, { state: () => 'due', fire: () => (isOver = true) })
    await this.until(() => isOver || this.time.monotonicMs() > untilMs + ms)
  }

  /** What `promise` comes to, while time goes on. */
  async hear<T>(promise: Promise<T>): Promise<T> {
    let heard: { readonly value: T } | undefined
    void promise.then((value) => {
      heard = { value }
    })
    await this.until(() => heard !== undefined)
    return promise
  }

  /** Violations so far; with `isOver` everything must be visible. */
  violations(isOver: boolean): readonly string[] {
    compare(this.outside, isOver)
    return this.outside.truth.violations
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

export class JobRun {
  readonly rates: Mutable<Rates>
  readonly process: SimulatedProcess
  readonly events: RunEvent[] = []
  readonly requests = new CheckpointRequests()
  end: RunEnd | undefined
  error: unknown
  readonly #world: JobWorld
  readonly #stop = new AbortController()
  readonly #drain = new AbortController()
  readonly #cancel = new AbortController()

  constructor(world: JobWorld, number: number, options: Parameters<JobWorld['start']>[0] = {}) {
    this.#world = world
    this.rates = { ...NO_FAULTS, ...options.rates }
    const { strike, edit = (one) => one } = options
    this.process = new SimulatedProcess(world.time, {
      number,
      seed: number,
      rates: this.rates,
      jumpMs: 0,
      ...(strike === undefined ? {} : { strikes: [strike] }),
    })
    const { process } = this
    const { truth } = world.outside
    runJob({
      definition: edit({ ...serialJob(world.outside, world.world.connectorsFor(process)), ...options.definition }),
      settings: {},
      store: simulatedStore(world.store, process, truth),
      runtime: process.runtime,
      baseDirectory: '.',
      codeIdentity: 'code',
      holder: { bootId: 'boot', netNamespace: 'net', pid: 1, host: 'here', socket: `socket ${number}` },
      isHolderAlive: () => Promise.resolve(false),
      stopSignal: this.#stop.signal,
      drainSignal: this.#drain.signal,
      cancelSignal: this.#cancel.signal,
      requests: this.requests,
      progressEveryMs: 0,
      onEvent: (event) => {
        this.events.push(event)
        if (event.kind === 'running') truth.generations.set(number, event.generation)
      },
      ...options.run,
    }).then(
      (end) => {
        this.end = end
      },
      (error: unknown) => {
        this.error = error
      },
    )
  }

  stop(): void {
    this.#stop.abort(new Error('stopped by the test'))
  }

  drain(): void {
    this.#drain.abort(new Error('drained by the test'))
  }

  cancel(): void {
    this.#cancel.abort(new Error('canceled by the test'))
  }

  /** @throws what the run threw */
  async ended(): Promise<RunEnd> {
    await this.#world.until(() => this.end !== undefined || this.error !== undefined)
    if (this.end === undefined) throw this.error
    return this.end
  }

  /** So many checkpoints of this run have completed. */
  async completed(count: number): Promise<void> {
    await this.#world.until(() => this.count('completed') >= count)
  }

  async running(): Promise<void> {
    await this.#world.until(() => this.count('running') > 0)
  }

  count(kind: RunEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length
  }
}
