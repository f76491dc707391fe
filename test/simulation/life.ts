/**
 * The life of a job over several processes, replayed from a plan: each process is struck where the plan says, the next one starts, at
 * another parallelism, until the job has finished. Then everything is compared, and what was paused is woken and must hurt nothing.
 */
import { memoryStore } from '../../checkpoint-store/memory.ts'
import { FencedError, InDoubtError, messageOf, RetryableError } from '../../engine/api/index.ts'
import type { RestartStrategy } from '../../engine/checkpoint/restart.ts'
import { NO_FAULTS, placeOf, type Plan } from './plan.ts'
import { SimulatedProcess } from './process.ts'
import { Running } from './running.ts'
import { VirtualTime } from './virtual-time.ts'
import { World, type Subject } from './world.ts'

export interface Report {
  readonly violations: readonly string[]
  /** Comparisons that were made. */
  readonly facts: number
  /** Strikes that hit. */
  readonly fired: number
  /** Processes and workers that were paused, or had lost their coordinator, and went on beside their successors. */
  readonly woken: number
  readonly faults: number
  /** Messages between coordinator and workers that came twice. */
  readonly repeated: number
  /** In-process restarts. */
  readonly restarts: number
  /** Checkpoints that were declined or timed out. */
  readonly unsuccessful: number
  readonly jumps: number
  /** Asks that were answered: runs that ended STOPPED or CANCELED, checkpoints completed or not. */
  readonly answered: number
  readonly completed: number
  /** How often a reader was given splits that had appeared. */
  readonly added: number
  readonly processes: number
  /** Processes that went on at another parallelism than the one before. */
  readonly rescales: number
  /** Timers that were fired. */
  readonly steps: number
  /** Names of the effects of each process. */
  readonly effects: readonly (readonly string[])[]
  /** By sink. */
  readonly visible: Readonly<Record<string, readonly unknown[]>>
}

const MOST_PROCESSES = 100
const RESTART: RestartStrategy = { kind: 'fixed-delay', attempts: Number.POSITIVE_INFINITY, delayMs: 5 }

export async function live(plan: Plan, subject: Subject, restart = RESTART): Promise<Report> {
  const life = new Life(plan, subject, restart)
  await life.run()
  return life.report()
}

class Life {
  readonly #plan: Plan
  readonly #subject: Subject
  readonly #restart: RestartStrategy
  readonly #time = new VirtualTime()
  readonly #world: World
  readonly #store = memoryStore()
  readonly #all: Running[] = []
  #answered = 0
  #woken = 0

  constructor(plan: Plan, subject: Subject, restart: RestartStrategy) {
    this.#plan = plan
    this.#subject = subject
    this.#restart = restart
    const nobody = new SimulatedProcess(this.#time, { number: 0, seed: 0, rates: NO_FAULTS, jumpMs: 0, strikes: [] })
    const { id } = subject.job(new World('', {}).connectorsFor(nobody))
    this.#world = new World(id, subject, plan)
    this.#world.truth.onStarted = ({ holder }) => {
      for (const { process } of this.#all) {
        if (holder.socket === `socket ${process.number}`) continue
        for (const one of [process, ...process.workers]) if (one.state !== 'dead') one.isZombie = true
      }
    }
  }

  async run(): Promise<void> {
    const { truth } = this.#world
    while (this.#all.length < MOST_PROCESSES) {
      const running = this.#start(this.#plan)
      const isWithin = await this.#time.run(() => this.#isOver(running))
      this.#subject.compare(this.#world, false)
      if (!isWithin) {
        truth.expect(false, () => `process ${running.process.number} hangs; its last words: ${running.lastWords}`)
        return
      }
      const { end } = running
      if (end?.state === 'FINISHED' || end?.state === 'ALREADY_FINISHED') break
      if (end?.state === 'STOPPED' || end?.state === 'CANCELED') this.#checkEnd(running)
      else if (end !== undefined || !isExpected(running)) {
        const why = end === undefined ? messageOf(running.error) : reasonOf(end)
        truth.expect(false, () => `the job ends ${end?.state ?? 'with an error'}: ${why} (C7)`)
        return
      }
      this.#time.jump(this.#plan.wallJumpMs ?? 0)
    }
    this.#world.isDrained = this.#isDrained()
    this.#subject.compare(this.#world, true)
    await this.#wakeAll()
    await this.#again()
  }

  /** Was the last checkpoint that of a process that was asked to end its inputs? Another one reads all there is. */
  #isDrained(): boolean {
    const last = this.#world.truth.manifests().at(-1)
    return this.#all.some(({ drain, generations }) => drain.signal.aborted && generations.has(last?.generation ?? 0))
  }

  report(): Report {
    const { truth, services } = this.#world
    const processes = this.#all.map((one) => one.process)
    const sum = (of: (one: Running) => number): number => this.#all.reduce((total, one) => total + of(one), 0)
    const places = processes.map(({ number }) => placeOf(this.#plan, number).parallelism)
    return {
      violations: truth.violations,
      facts: truth.facts,
      fired: sum(({ process }) => process.fired),
      woken: this.#woken,
      restarts: sum(({ restarts }) => restarts),
      unsuccessful: sum(({ process }) => process.unsuccessful),
      jumps: this.#time.jumps,
      answered: this.#answered + sum(({ answered }) => answered),
      faults: sum(({ process }) => process.faults),
      repeated: sum(({ process }) => process.repeated),
      completed: truth.completed,
      added: processes.flatMap((one) => one.effects).filter((name) => name.endsWith('.addSplits')).length,
      processes: processes.length,
      rescales: places.filter((one, index) => index > 0 && one !== places[index - 1]).length,
      steps: this.#time.steps,
      effects: processes.map((one) => one.effects),
      visible: Object.fromEntries([...services].map(([sink, { visible }]) => [sink, visible])),
    }
  }

  #start(plan: Plan | undefined): Running {
    const number = this.#all.length + 1
    const mine = plan?.processes[number - 1]
    const process = new SimulatedProcess(this.#time, {
      number,
      seed: this.#plan.seed * 1_000 + number,
      rates: plan?.rates ?? NO_FAULTS,
      jumpMs: this.#plan.jumpsAtEffects === true ? (this.#plan.wallJumpMs ?? 0) : 0,
      strikes: mine?.strikes ?? [],
    })
    const running = new Running({
      process,
      subject: this.#subject,
      world: this.#world,
      store: this.#store,
      ...placeOf(this.#plan, number),
      restart: this.#restart,
      asks: mine?.asks ?? [],
      others: [...this.#all],
    })
    this.#all.push(running)
    return running
  }

  /** Ended, broken off, dead or paused; on the way, a paused predecessor or worker may be woken. */
  #isOver(running: Running): boolean {
    const { process } = running
    const { length } = process.effects
    if (length >= (this.#plan.wakeAfter ?? Number.POSITIVE_INFINITY)) {
      for (const one of this.#all) if (one !== running) this.#wake(one.process)
    }
    if (process.state === 'running') {
      for (const worker of process.workers) if (length >= worker.wakeAt) this.#wake(worker)
    }
    running.ask()
    if (running.end !== undefined) return true
    if (running.error === undefined) return process.state !== 'running'
    // Its process exits: whatever it still has under way does not happen.
    process.kill()
    return true
  }

  /** After a stop nothing is due; after a cancel it may be, and then the log still names what may be left. */
  #checkEnd(running: Running): void {
    this.#answered += 1
    const { truth } = this.#world
    const state = running.end?.state
    const { newest } = truth
    truth.expect(newest?.end?.state === state, () => `the run says ${state}, the log ${newest?.end?.state}`)
    const isDue = newest?.retained.some((one) => one.checkpoint > truth.committedThrough) === true
    const isAsked = state === 'STOPPED' ? running.stop.signal.aborted : running.cancel.signal.aborted
    truth.expect(isAsked, () => `the run says ${state}, but nobody asked for that`)
    truth.expect(state === 'CANCELED' || !isDue, () => 'stopped, but commits are due')
    truth.expect(!isDue || (newest?.unclean.length ?? 0) > 0, () => 'commits are due, but all scopes are called clean')
  }

  #wake(process: SimulatedProcess): void {
    const paused = [process, ...(process.isWorker ? [] : process.workers)].filter(({ state }) => state === 'paused')
    this.#woken += paused.length
    process.wake()
  }

  /** Zombies go on when all is over; nothing that is visible may change, and they must come to their end. */
  async #wakeAll(): Promise<void> {
    const { truth } = this.#world
    const before = this.#world.visible
    for (const one of this.#all) {
      const { process } = one
      this.#wake(process)
      const ended = await this.#time.run(() => {
        // It may be struck again.
        this.#wake(process)
        return process.state === 'dead' || one.hasEnded
      })
      truth.expect(ended, () => `process ${process.number} hangs after it was woken: ${one.lastWords}`)
      if (process.isZombie) {
        // Killed before it knew, there is no error.
        const isFenced = one.error === undefined || isExpected(one)
        truth.expect(isFenced, () => `process ${process.number} ends with ${messageOf(one.error)}`)
      }
      // Workers that have lost it come to their end by themselves.
      await this.#time.run(() => false)
      process.kill()
    }
    const after = this.#world.visible
    truth.expect(after === before, () => `${after - before} records became visible after the end (C3)`)
  }

  /** One more run has nothing to do, and nothing is left outside or in the store but what the newest entry names. */
  async #again(): Promise<void> {
    const { truth, services } = this.#world
    const last = this.#start(undefined)
    const isWithin = await this.#time.run(() => this.#isOver(last))
    truth.expect(isWithin && last.end?.state === 'ALREADY_FINISHED', () => `run once more it says ${last.end?.state}`)
    const { newest } = truth
    truth.expect(newest?.kind === 'ended', () => `the last entry is ${newest?.kind}`)
    // What was woken may have left something that nobody looks for.
    if (this.#all.some(({ process }) => process.isZombie || process.workers.some(({ isZombie }) => isZombie))) return
    for (const service of services.values()) {
      const left = [...service.transactions].map(([name, { state }]) => `${name} (${state})`)
      truth.expect(left.length === 0, () => `left in ${service.sink}: ${left.join(', ')}`)
    }
    truth.expect(newest?.unclean.length === 0, () => `${newest?.unclean.length} scopes are unclean at the end`)
  }
}

function reasonOf(end: NonNullable<Running['end']>): string {
  return 'reason' in end ? end.reason : ''
}

/** Fenced; or it could not read or write the store before it had a part in the job, or could not know what became of an append. */
function isExpected({ error }: Running): boolean {
  return (
    error === undefined ||
    error instanceof FencedError ||
    error instanceof RetryableError ||
    error instanceof InDoubtError
  )
}
