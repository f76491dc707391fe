/**
 * The life of a job over several processes, replayed from a seed and a plan: each process is struck where the plan says, the next one
 * starts, until the job has finished. Then everything is compared, and what was paused is woken and must hurt nothing.
 */
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { FencedError, InDoubtError, messageOf, RetryableError } from '../../engine/api/index.ts'
import { CheckpointRequests } from '../../engine/coordinator/checkpoint-requests.ts'
import { runJob, type RunEnd } from '../../engine/coordinator/run-job.ts'
import { compare, POLICY, simulatedJob, type Outside } from './job-under-simulation.ts'
import { NO_FAULTS, SimulatedProcess, type Rates, type Strike } from './process.ts'
import { Service } from './simulated-sink.ts'
import { Inputs, type Appearing } from './simulated-source.ts'
import { simulatedStore } from './simulated-store.ts'
import { Truth } from './truth.ts'
import { VirtualTime } from './virtual-time.ts'

export interface Plan {
  readonly seed: number
  /** One for each process; after the last one, processes run without a strike. */
  readonly strikes: readonly (Strike | undefined)[]
  readonly rates?: Rates
  /** A paused process is woken after this many effects of its successor; left out: when the job is over. */
  readonly wakeAfter?: number
  /** Between processes the wall clock jumps by this; with `jumpsAtEffects` there and back at every effect. */
  readonly wallJumpMs?: number
  readonly jumpsAtEffects?: boolean
  /** Splits that appear while the job runs. */
  readonly appearing?: Appearing
  /** Of each process in turn; default 1. */
  readonly parallelisms?: readonly number[]
  /** What people ask for, each once its process has had so many effects. */
  readonly asks?: readonly Ask[]
}

export interface Ask {
  readonly process: number
  readonly effect: number
  readonly what: 'stop' | 'cancel' | 'checkpoint'
}

export interface Report {
  readonly violations: readonly string[]
  readonly facts: number
  /** Strikes that hit. */
  readonly fired: number
  readonly paused: number
  readonly faults: number
  /** In-process restarts. */
  readonly restarts: number
  /** Checkpoints that were declined or timed out. */
  readonly unsuccessful: number
  readonly jumps: number
  /** Asks that were answered: runs that ended STOPPED or CANCELED, checkpoints completed or not. */
  readonly answered: number
  readonly completed: number
  readonly processes: number
  /** Names of the effects of each process. */
  readonly effects: readonly (readonly string[])[]
}

const MOST_PROCESSES = 30
const HOLDER = { bootId: 'boot', netNamespace: 'net', pid: 1, host: 'here' }

export async function live(plan: Plan): Promise<Report> {
  const life = new Life(plan)
  await life.run()
  return life.report()
}

interface Running {
  readonly process: SimulatedProcess
  readonly stop: AbortController
  readonly cancel: AbortController
  readonly requests: CheckpointRequests
  readonly asks: Ask[]
  end: RunEnd | undefined
  error: unknown
}

class Life {
  readonly #plan: Plan
  readonly #time = new VirtualTime()
  readonly #outside: Outside
  readonly #store = memoryStore()
  readonly #all: Running[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    const truth = new Truth('job', POLICY)
    truth.onStarted = ({ holder }) => {
      for (const { process } of this.#all) {
        if (process.state !== 'dead' && holder.socket !== `socket ${process.number}`) process.isZombie = true
      }
    }
    truth.leftovers = () => [...this.#outside.plain.leftovers(), ...this.#outside.counts.leftovers()]
    this.#outside = {
      truth,
      inputs: new Inputs({ a: 17, b: 11 }, plan.appearing),
      plain: new Service('plain', truth),
      counts: new Service('counts', truth),
    }
    const isAlone = (plan.parallelisms ?? [1]).every((one) => one === 1)
    this.#outside.plain.isAlone = this.#outside.counts.isAlone = isAlone
  }

  async run(): Promise<void> {
    const { truth } = this.#outside
    while (this.#all.length < MOST_PROCESSES) {
      const running = this.#start(this.#plan)
      const isWithin = await this.#time.run(() => this.#isOver(running))
      compare(this.#outside, false)
      if (!isWithin) {
        truth.expect(false, () => `process ${running.process.number} hangs; its last words: ${lastWords(running)}`)
        return
      }
      if (running.end?.state === 'FINISHED' || running.end?.state === 'ALREADY_FINISHED') break
      if (running.end?.state === 'STOPPED' || running.end?.state === 'CANCELED') this.#checkEnd(running)
      else if (running.end !== undefined) {
        const { end } = running
        truth.expect(false, () => `the job ends ${end.state}: ${end.state === 'FAILED' ? end.reason : ''} (C7)`)
        return
      }
      this.#time.jump(this.#plan.wallJumpMs ?? 0)
    }
    compare(this.#outside, true)
    await this.#wakeAll()
    await this.#again()
  }

  report(): Report {
    const { truth } = this.#outside
    const processes = this.#all.map((one) => one.process)
    return {
      violations: truth.violations,
      facts: truth.facts,
      fired: processes.filter((one, index) => this.#plan.strikes[index] !== undefined && one.state !== 'running')
        .length,
      paused: this.#paused,
      restarts: this.#restarts,
      unsuccessful: processes.reduce((sum, one) => sum + one.unsuccessful, 0),
      jumps: this.#time.jumps,
      answered: this.#answered,
      faults: processes.reduce((sum, one) => sum + one.faults, 0),
      completed: truth.completed,
      processes: processes.length,
      effects: processes.map((one) => one.effects),
    }
  }

  #answered = 0
  #paused = 0
  #restarts = 0

  #start(plan: Plan | undefined): Running {
    const number = this.#all.length + 1
    const strike = plan?.strikes[number - 1]
    const process = new SimulatedProcess(this.#time, {
      number,
      seed: this.#plan.seed * 1_000 + number,
      rates: plan?.rates ?? NO_FAULTS,
      jumpMs: this.#plan.jumpsAtEffects === true ? (this.#plan.wallJumpMs ?? 0) : 0,
      ...(strike === undefined ? {} : { strike }),
    })
    const running: Running = {
      process,
      stop: new AbortController(),
      cancel: new AbortController(),
      requests: new CheckpointRequests(),
      asks: [...(plan?.asks ?? [])].filter((ask) => ask.process === number),
      end: undefined,
      error: undefined,
    }
    this.#all.push(running)
    this.#runJob(running).then(
      (end) => {
        running.end = end
      },
      (error: unknown) => {
        running.error = error
      },
    )
    return running
  }

  #runJob({ process, stop, cancel, requests }: Running): Promise<RunEnd> {
    const { truth } = this.#outside
    const others = this.#all.map((one) => one.process).filter((one) => one !== process)
    return runJob({
      definition: simulatedJob(this.#outside, process),
      settings: {},
      store: simulatedStore(this.#store, process, truth),
      runtime: process.runtime,
      baseDirectory: '.',
      parallelism: this.#parallelismOf(process.number),
      codeIdentity: 'code',
      holder: { ...HOLDER, socket: `socket ${process.number}` },
      isHolderAlive: (holder) => {
        const other = others.find((one) => `socket ${one.number}` === holder.socket)
        return Promise.resolve(other !== undefined && other.state !== 'dead' && !this.#hasEnded(other))
      },
      takeOver: others.some((one) => one.state === 'paused' || one.state === 'running'),
      stopSignal: stop.signal,
      cancelSignal: cancel.signal,
      requests,
      onEvent: (event) => {
        if (event.kind === 'restarting') this.#restarts += 1
        if (event.kind === 'running') truth.generations.set(process.number, event.generation)
      },
    })
  }

  #parallelismOf(number: number): number {
    const { parallelisms = [1] } = this.#plan
    return parallelisms[number % parallelisms.length] ?? 1
  }

  #hasEnded(process: SimulatedProcess): boolean {
    const running = this.#all.find((one) => one.process === process)
    return running?.end !== undefined || running?.error !== undefined
  }

  /** Ended, broken off, dead or paused; on the way, a paused predecessor may be woken. */
  #isOver(running: Running): boolean {
    const { process } = running
    if (process.effects.length >= (this.#plan.wakeAfter ?? Number.POSITIVE_INFINITY)) {
      for (const one of this.#all) if (one !== running) this.#wake(one)
    }
    this.#ask(running)
    if (running.end !== undefined) return true
    if (running.error === undefined) return process.state !== 'running'
    // Its process exits: whatever it still has under way does not happen.
    process.kill()
    return true
  }

  #ask({ process, stop, cancel, requests, asks }: Running): void {
    const [next] = asks
    if (next === undefined || process.effects.length < next.effect) return
    asks.shift()
    if (next.what === 'stop') return stop.abort(new Error('stopped by the plan'))
    if (next.what === 'cancel') return cancel.abort(new Error('canceled by the plan'))
    void requests.request('committed').then((outcome) => {
      this.#answered += 1
      if (outcome.kind === 'not-completed') return
      const { truth, plain, counts } = this.#outside
      for (const [name, { checkpoint }] of truth.held) {
        if (checkpoint > outcome.checkpoint) continue
        const isOpen = [plain, counts].some((service) => service.transactions.get(name)?.state === 'prepared')
        truth.expect(!isOpen, () => `${outcome.checkpoint} is said to be committed, but ${name} is not`)
      }
    })
  }

  /** After a stop nothing is due; after a cancel it may be, and then the log still names what may be left. */
  #checkEnd(running: Running): void {
    this.#answered += 1
    const { truth } = this.#outside
    const state = running.end?.state
    const { newest } = truth
    truth.expect(newest?.end?.state === state, () => `the run says ${state}, the log ${newest?.end?.state}`)
    const isDue = newest?.retained.some((one) => one.checkpoint > truth.committedThrough) === true
    const isAsked = state === 'STOPPED' ? running.stop.signal.aborted : running.cancel.signal.aborted
    truth.expect(isAsked, () => `the run says ${state}, but nobody asked for that`)
    truth.expect(state === 'CANCELED' || !isDue, () => 'stopped, but commits are due')
    truth.expect(!isDue || (newest?.unclean.length ?? 0) > 0, () => 'commits are due, but all scopes are called clean')
  }

  #wake(one: Running): void {
    if (one.process.state !== 'paused') return
    this.#paused += 1
    one.process.wake()
  }

  /** Zombies go on when all is over; nothing that is visible may change, and they must come to their end. */
  async #wakeAll(): Promise<void> {
    const { truth, plain, counts } = this.#outside
    const before = plain.visible.length + counts.visible.length
    for (const one of this.#all) {
      this.#wake(one)
      const isOver = (): boolean => one.process.state === 'dead' || one.end !== undefined || one.error !== undefined
      const ended = await this.#time.run(isOver)
      truth.expect(ended, () => `process ${one.process.number} hangs after it was woken: ${lastWords(one)}`)
      if (one.process.isZombie) {
        // Killed before it knew, there is no error.
        const isFenced = one.error === undefined || one.error instanceof FencedError || isUnavailable(one.error)
        truth.expect(isFenced, () => `process ${one.process.number} ends with ${messageOf(one.error)}`)
      }
      one.process.kill()
    }
    const after = plain.visible.length + counts.visible.length
    truth.expect(after === before, () => `${after - before} records became visible after the end (C3)`)
  }

  /** One more run has nothing to do, and nothing is left outside or in the store but what the newest entry names. */
  async #again(): Promise<void> {
    const { truth, plain, counts } = this.#outside
    const last = this.#start(undefined)
    const isWithin = await this.#time.run(() => this.#isOver(last))
    truth.expect(isWithin && last.end?.state === 'ALREADY_FINISHED', () => `run once more it says ${last.end?.state}`)
    if (this.#paused > 0) return
    for (const service of [plain, counts]) {
      const left = [...service.transactions.keys()]
      truth.expect(left.length === 0, () => `left in ${service.sink}: ${left.join(', ')}`)
    }
    const { newest } = truth
    truth.expect(newest?.kind === 'ended', () => `the last entry is ${newest?.kind}`)
    truth.expect(newest?.unclean.length === 0, () => `${newest?.unclean.length} scopes are unclean at the end`)
  }
}

/** It could not read or write the store before it had a part in the job, or could not know what became of an append. */
function isUnavailable(error: unknown): boolean {
  return error instanceof RetryableError || error instanceof InDoubtError
}

function lastWords(running: Running): string {
  return `${running.process.effects.slice(-5).join(', ')}; ${running.process.log.slice(-3).join(' | ')}`
}
