/**
 * One simulated process: its clock, its timers, its chance, and the gate through which all its outside effects go. A strike at effect n,
 * before or after it took place, kills it (nothing of it ever happens again) or pauses it (it goes on when it is woken). Its workers are
 * processes of their own, which share its numbering of effects and its chance.
 */
import type { Logger, Runtime } from '../../engine/api/index.ts'
import type { Rates, Strike } from './plan.ts'
import { seeded, type Timer, type VirtualTime } from './virtual-time.ts'

export interface ProcessOptions {
  readonly number: number
  readonly seed: number
  readonly rates: Rates
  readonly jumpMs: number
  readonly strikes?: readonly Strike[]
}

/** What all of a process and its workers have together. */
interface Common extends ProcessOptions {
  readonly time: VirtualTime
  readonly chance: () => number
  readonly log: string[]
  readonly effects: string[]
  readonly workers: SimulatedProcess[]
  faults: number
  unsuccessful: number
  fired: number
  repeated: number
}

export class SimulatedProcess {
  readonly runtime: Runtime
  state: 'running' | 'dead' | 'paused' = 'running'
  /** It was paused, or cut off: a newer generation may have started meanwhile. */
  isZombie = false
  /** It was struck, woken, or (a worker) its coordinator answers no more. */
  onChange: (what: SimulatedProcess['state'] | 'cut-off') => void = () => undefined
  /** Effects that take place never and are never answered. */
  isSilent: (name: string) => boolean = () => false
  /** Effects that wait until they are released. */
  isHeld: (name: string) => boolean = () => false
  held = 0
  /** A paused worker is woken at this effect of the whole process. */
  wakeAt = Number.POSITIVE_INFINITY
  /** Undefined: it is the coordinator's. */
  readonly #coordinator: SimulatedProcess | undefined
  readonly #common: Common
  #woken = Promise.withResolvers<void>()
  readonly #released = Promise.withResolvers<void>()

  constructor(time: VirtualTime, options: ProcessOptions | { readonly of: SimulatedProcess }) {
    this.#coordinator = 'of' in options ? options.of : undefined
    this.#common =
      'of' in options
        ? options.of.#common
        : {
            ...options,
            time,
            chance: seeded(options.seed),
            log: [],
            effects: [],
            workers: [],
            faults: 0,
            unsuccessful: 0,
            fired: 0,
            repeated: 0,
          }
    this.runtime = this.#coordinator?.runtimeFor(this) ?? this.#runtime()
  }

  get number(): number {
    return this.#common.number
  }

  get rates(): Rates {
    return this.#common.rates
  }

  get chance(): () => number {
    return this.#common.chance
  }

  get log(): readonly string[] {
    return this.#common.log
  }

  /** Names of its effects so far, in order. */
  get effects(): readonly string[] {
    return this.#common.effects
  }

  get faults(): number {
    return this.#common.faults
  }

  /** Checkpoints that did not complete. */
  get unsuccessful(): number {
    return this.#common.unsuccessful
  }

  /** Strikes that hit. */
  get fired(): number {
    return this.#common.fired
  }

  /** Messages between coordinator and workers that came twice. */
  get repeated(): number {
    return this.#common.repeated
  }

  get time(): VirtualTime {
    return this.#common.time
  }

  /** All there ever were. */
  get workers(): readonly SimulatedProcess[] {
    return this.#common.workers
  }

  get isWorker(): boolean {
    return this.#coordinator !== undefined
  }

  createWorker(): SimulatedProcess {
    const worker = new SimulatedProcess(this.#common.time, { of: this })
    worker.isZombie = this.isZombie
    this.#common.workers.push(worker)
    return worker
  }

  /** One outside effect: takes its time, may be struck, is applied at one instant. */
  async effect<T>(name: string, act: () => T): Promise<T> {
    const { rates, effects, time, jumpMs } = this.#common
    const isSlow = this.chance() < rates.slow
    await this.sleep(this.chance() * (isSlow ? rates.slowMs : 1))
    effects.push(name)
    const number = effects.length
    if (this.isSilent(name)) return never()
    if (this.isHeld(name)) {
      this.held += 1
      await this.#released.promise
    }
    time.jump(number % 2 === 0 ? jumpMs : -jumpMs)
    await this.#struck(number, 'before')
    const result = act()
    await this.#struck(number, 'after')
    return result
  }

  /** Does a fault of this rate happen now? */
  hits(rate: number): boolean {
    if (rate === 0 || this.chance() >= rate) return false
    this.#common.faults += 1
    return true
  }

  /** Is a message said again? */
  repeats(): boolean {
    if (this.chance() >= this.rates.duplicates) return false
    this.#common.repeated += 1
    return true
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
      if (signal?.aborted === true) return fail()
      let isOver = false
      const abort = (): void => {
        isOver = true
        if (this.state !== 'dead') fail()
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#common.time.after(delayMs, {
        state: () => (isOver ? 'gone' : this.timerState),
        fire: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      })
    })
  }

  /** Of what happens to it. */
  get timerState(): ReturnType<Timer['state']> {
    if (this.state === 'dead') return 'gone'
    return this.state === 'running' ? 'due' : 'waiting'
  }

  /** With all of its workers. */
  kill(): void {
    this.#become('dead')
    if (this.#coordinator === undefined) for (const worker of this.workers) worker.kill()
  }

  /** With all of its workers. */
  wake(): void {
    if (this.#coordinator === undefined) for (const worker of this.workers) worker.wake()
    if (this.state !== 'paused') return
    this.#become('running')
    this.#woken.resolve()
    this.#woken = Promise.withResolvers()
    this.#common.time.woken()
  }

  pause(): void {
    if (this.state !== 'running') return
    this.isZombie = true
    this.#become('paused')
    if (this.#coordinator === undefined) for (const worker of this.workers) worker.pause()
  }

  release(): void {
    this.isHeld = () => false
    this.#released.resolve()
  }

  /** Shared by a worker: names are drawn from one sequence. */
  runtimeFor(worker: SimulatedProcess): Runtime {
    return { ...this.runtime, timers: worker.#timers() }
  }

  #become(state: SimulatedProcess['state']): void {
    if (this.state === state || this.state === 'dead') return
    this.state = state
    this.onChange(state)
  }

  /** Resolves, later, or never. */
  async #struck(effect: number, moment: Strike['moment']): Promise<void> {
    for (const strike of this.#common.strikes ?? []) {
      if (strike.effect === effect && strike.moment === moment && this.state !== 'dead') this.#strike(strike)
    }
    while (this.state === 'paused') await this.#woken.promise
    if (this.state === 'dead') return never()
    return undefined
  }

  #strike({ kind, whom = 'all' }: Strike): void {
    const coordinator = this.#coordinator ?? this
    const isOne = whom === 'worker' && this !== coordinator
    const { workers } = this
    const victims = isOne ? [this] : whom === 'all' ? [coordinator, ...workers] : [coordinator]
    this.#common.fired += 1
    if (isOne && kind === 'pause') this.wakeAt = this.effects.length + 5 + Math.floor(this.chance() * 120)
    for (const victim of victims) {
      if (kind === 'pause') victim.pause()
      else victim.#become('dead')
    }
    if (whom !== 'coordinator' || isOne) return
    for (const worker of workers) {
      worker.isZombie = true
      worker.onChange('cut-off')
    }
  }

  #runtime(): Runtime {
    const { time, seed } = this.#common
    const random = seeded(seed ^ 0x5bd1e995)
    return {
      clock: { now: () => time.now(), monotonicMs: () => time.monotonicMs() },
      timers: this.#timers(),
      random: {
        next: random,
        token: (length) => {
          const letter = (): string => 'abcdefghijklmnopqrstuvwxyz0123456789'.charAt(Math.floor(random() * 36))
          return Array.from({ length }, letter).join('')
        },
      },
      logger: this.#logger(),
    }
  }

  #timers(): Runtime['timers'] {
    return {
      sleep: (delayMs, signal) => this.sleep(delayMs, signal),
      yieldToEventLoop: () => this.sleep(0),
    }
  }

  #logger(): Logger {
    const common = this.#common
    const at =
      (level: string): Logger['info'] =>
      (message, fields) => {
        if (/^checkpoint \d+ (declined|not )/.test(message)) common.unsuccessful += 1
        common.log.push(`${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`)
        if (common.log.length > 200) common.log.shift()
      }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

/** One of its own each time: what waits for it is forgotten with it. */
function never(): Promise<never> {
  return new Promise(() => undefined)
}
