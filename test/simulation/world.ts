/** What is outside all processes of a simulated life: the truth about its log, its inputs, the services its sinks write to. */
import type { Sink, Source } from '../../engine/api/index.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import type { CheckpointPolicy } from '../../engine/checkpoint/trigger.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { checkCut } from './cut.ts'
import type { Plan } from './plan.ts'
import type { SimulatedProcess } from './process.ts'
import { Service } from './service.ts'
import { simulatedSink, type Prepared, type Written } from './simulated-sink.ts'
import { Input, simulatedSource, type SimulatedSplit } from './simulated-source.ts'
import { Truth } from './truth.ts'

/** Sources and sinks of a job under simulation; each operator has its own, whatever is given to it. */
export interface Connectors {
  /** A source that gives these records, and no others: a list for each split, each read in its order. */
  readonly source: <T>(...splits: readonly (readonly T[])[]) => Source<T, SimulatedSplit, number>
  /** A sink with two-phase commit. What it shows is known by the id of its operator. */
  readonly sink: <T>() => Sink<T, Prepared, Written>
}

/** A job, and what must be true of it. */
export interface Subject {
  /** Called for each process, and each worker of it; must give the same job each time. */
  job(connectors: Connectors): JobDefinition
  /** Of all that is visible; `isOver`: the job has finished, so it must be all there is. */
  compare(world: World, isOver: boolean): void
  /** Of a checkpoint that has just completed. */
  onCompleted?(world: World, manifest: Manifest): void
}

/** Short, so that a short life has many checkpoints. */
export const POLICY = {
  intervalMs: 8,
  minPauseMs: 0,
  timeoutMs: 60,
  toleratedFailures: 3,
  maxUncommittedEpochs: 3,
  retained: 2,
} satisfies CheckpointPolicy & { readonly retained: number }

export class World {
  readonly truth: Truth
  readonly services = new Map<string, Service>()
  /** The job has finished because somebody asked for that, not because its input had ended. */
  isDrained = false
  readonly #inputs = new Map<string, Input>()
  readonly #appearing: readonly number[]

  constructor(
    job: string,
    { onCompleted }: Pick<Subject, 'onCompleted'>,
    { appearing = [] }: Pick<Plan, 'appearing'> = {},
  ) {
    this.#appearing = appearing
    this.truth = new Truth(job, POLICY)
    this.truth.leftovers = () => [...this.services.values()].flatMap((service) => service.leftovers())
    this.truth.isPrepared = (sink, name) => {
      const state = this.services.get(sink)?.transactions.get(name)?.state
      return state === 'prepared'
    }
    this.truth.onCompleted = (manifest) => {
      checkCut(manifest, this.truth, this.services.values())
      onCompleted?.(this, manifest)
    }
  }

  serviceOf(operator: string): Service {
    const service = this.services.get(operator) ?? new Service(operator, this.truth)
    this.services.set(operator, service)
    return service
  }

  /** Records that are visible in all services. */
  get visible(): number {
    return [...this.services.values()].reduce((sum, { visible }) => sum + visible.length, 0)
  }

  connectorsFor(process: SimulatedProcess): Connectors {
    const { truth } = this
    return {
      source: (...splits) =>
        simulatedSource({
          process,
          truth,
          doSplitsAppear: this.#appearing.some((behind) => behind > 0),
          inputOf: (operator) => {
            const input = this.#inputs.get(operator) ?? new Input(operator, splits, this.#appearing)
            this.#inputs.set(operator, input)
            return input
          },
        }),
      sink: () => simulatedSink({ process, truth, serviceOf: (operator) => this.serviceOf(operator) }),
    }
  }
}
