/** One process of a simulated life, from its start to its end, with what people ask of it meanwhile. */
import type { MemoryStore } from '../../checkpoint-store/memory.ts'
import { CheckpointRequests } from '../../engine/coordinator/checkpoint-requests.ts'
import { runJob, type RunEnd } from '../../engine/coordinator/run-job.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import type { RestartStrategy } from '../../engine/checkpoint/restart.ts'
import { LocalHost } from '../../engine/task/local-host.ts'
import type { Ask, Placement } from './plan.ts'
import type { SimulatedProcess } from './process.ts'
import { SimulatedHost } from './simulated-host.ts'
import { simulatedStore } from './simulated-store.ts'
import { POLICY, type Subject, type World } from './world.ts'

const HOLDER = { bootId: 'boot', netNamespace: 'net', pid: 1, host: 'here' }

export interface RunningOptions {
  readonly process: SimulatedProcess
  readonly subject: Subject
  readonly world: World
  readonly store: MemoryStore
  readonly parallelism: number
  readonly placement: Placement
  readonly restart: RestartStrategy
  readonly asks: readonly Ask[]
  /** Those that were started before. */
  readonly others: readonly Running[]
}

export class Running {
  readonly process: SimulatedProcess
  readonly stop = new AbortController()
  readonly drain = new AbortController()
  readonly cancel = new AbortController()
  /** That it has started. */
  readonly generations = new Set<number>()
  end: RunEnd | undefined
  error: unknown
  /** In-process restarts. */
  restarts = 0
  answered = 0
  readonly #options: RunningOptions
  readonly #requests = new CheckpointRequests()
  readonly #asks: Ask[]

  constructor(options: RunningOptions) {
    this.#options = options
    this.process = options.process
    this.#asks = options.asks.toSorted((a, b) => a.effect - b.effect)
    this.#run().then(
      (end) => {
        this.end = end
      },
      (error: unknown) => {
        this.error = error
      },
    )
  }

  get hasEnded(): boolean {
    return this.end !== undefined || this.error !== undefined
  }

  ask(): void {
    const [next] = this.#asks
    if (next === undefined || this.process.effects.length < next.effect) return
    this.#asks.shift()
    if (next.what === 'stop') return this.stop.abort(new Error('stopped by the plan'))
    if (next.what === 'drain') return this.drain.abort(new Error('drained by the plan'))
    if (next.what === 'cancel') return this.cancel.abort(new Error('canceled by the plan'))
    void this.#requests.request('committed').then((outcome) => {
      this.answered += 1
      if (outcome.kind === 'completed') this.#checkCommitted(outcome.checkpoint)
    })
  }

  get lastWords(): string {
    return `${this.process.effects.slice(-5).join(', ')}; ${this.process.log.slice(-3).join(' | ')}`
  }

  #checkCommitted(through: number): void {
    const { truth, services } = this.#options.world
    for (const [name, { sink, checkpoint }] of truth.held) {
      if (checkpoint > through) continue
      const isOpen = services.get(sink)?.transactions.get(name)?.state === 'prepared'
      truth.expect(!isOpen, () => `${through} is said to be committed, but ${name} is not`)
    }
  }

  #run(): Promise<RunEnd> {
    const { process, world, store, others, parallelism, placement } = this.#options
    return runJob({
      definition: this.#definitionFor(process),
      settings: {},
      parallelism,
      store: simulatedStore(store, process, world.truth),
      runtime: process.runtime,
      baseDirectory: '.',
      codeIdentity: 'code',
      holder: { ...HOLDER, socket: `socket ${process.number}` },
      isHolderAlive: ({ socket }) => {
        const other = others.find((one) => `socket ${one.process.number}` === socket)
        return Promise.resolve(other !== undefined && other.process.state !== 'dead' && !other.hasEnded)
      },
      takeOver: others.some(({ process: { state } }) => state === 'paused' || state === 'running'),
      createHost: ({ graph }) =>
        placement === 'here'
          ? new LocalHost(graph, process.runtime)
          : new SimulatedHost({
              process,
              truth: world.truth,
              placement,
              definitionFor: (worker) => this.#definitionFor(worker),
            }),
      stopSignal: this.stop.signal,
      drainSignal: this.drain.signal,
      cancelSignal: this.cancel.signal,
      requests: this.#requests,
      // A timer more, and every seed is another life.
      progressEveryMs: 0,
      onEvent: (event) => {
        if (event.kind === 'restarting') this.restarts += 1
        if (event.kind !== 'running') return
        world.truth.generations.set(process.number, event.generation)
        this.generations.add(event.generation)
      },
    })
  }

  #definitionFor(process: SimulatedProcess): JobDefinition {
    const { subject, world, restart } = this.#options
    return { ...subject.job(world.connectorsFor(process)), checkpoint: POLICY, restart }
  }
}
