/**
 * One simulated process: its clock, its timers, its chance, and the gate through which all its outside effects go. A strike at effect n,
 * before or after it took place, kills it (nothing of it ever happens again) or pauses it (it goes on when it is woken).
 */
import type { Logger, Runtime } from '../../engine/api/index.ts'
import { seeded, type VirtualTime } from './virtual-time.ts'

export interface Strike {
  /** Counted from 1. */
  readonly effect: number
  readonly moment: 'before' | 'after'
  readonly kind: 'kill' | 'pause'
}

export interface Rates {
  /** Of store operations that fail without effect, lose their answer, or whose read fails. */
  readonly store: number
  /** Of commits that answer retry or unknown, applied or not; of forgets and aborts that fail. */
  readonly sink: number
  /** Of polls, writes and prepares that throw. */
  readonly task: number
  /** Of effects that take long (up to `slowMs`). */
  readonly slow: number
  readonly slowMs: number
}

export const NO_FAULTS: Rates = { store: 0, sink: 0, task: 0, slow: 0, slowMs: 0 }

export class SimulatedProcess {
  readonly number: number
  readonly chance: () => number
  readonly rates: Rates
  readonly runtime: Runtime
  readonly log: string[] = []
  /** Names of its effects so far, in order. */
  readonly effects: string[] = []
  state: 'running' | 'dead' | 'paused' = 'running'
  /** Effects that take place never and are never answered. */
  isSilent: (name: string) => boolean = () => false
  /** Effects that wait until they are released. */
  isHeld: (name: string) => boolean = () => false
  held = 0
  faults = 0
  /** It was paused: a newer generation may have started meanwhile. */
  isZombie = false
  readonly #time: VirtualTime
  readonly #strike: Strike | undefined
  readonly #jumpMs: number
  unsuccessful = 0

  constructor(
    time: VirtualTime,
    options: {
      readonly number: number
      readonly seed: number
      readonly rates: Rates
      readonly jumpMs: number
      readonly strike?: Strike
    },
  ) {
    this.number = options.number
    this.#time = time
    this.rates = options.rates
    this.#strike = options.strike
    this.#jumpMs = options.jumpMs
    this.chance = seeded(options.seed)
    const random = seeded(options.seed ^ 0x5bd1e995)
    this.runtime = {
      clock: { now: () => time.now(), monotonicMs: () => time.monotonicMs() },
      timers: {
        sleep: (delayMs, signal) => this.sleep(delayMs, signal),
        yieldToEventLoop: () => this.sleep(0),
      },
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

  /** One outside effect: takes its time, may be struck, is applied at one instant. */
  async effect<T>(name: string, act: () => T): Promise<T> {
    const { slow, slowMs } = this.rates
    const isSlow = this.chance() < slow
    await this.sleep(this.chance() * (isSlow ? slowMs : 1))
    this.effects.push(name)
    if (this.isSilent(name)) return never()
    if (this.isHeld(name)) {
      this.held += 1
      await this.#released.promise
    }
    const number = this.effects.length
    this.#time.jump(number % 2 === 0 ? this.#jumpMs : -this.#jumpMs)
    await this.#struck(number, 'before')
    const result = act()
    await this.#struck(number, 'after')
    return result
  }

  /** Does a fault of this rate happen now? */
  hits(rate: number): boolean {
    if (rate === 0 || this.chance() >= rate) return false
    this.faults += 1
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
      this.#time.after(delayMs, {
        isDue: () => this.state === 'running' && !isOver,
        fire: () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        },
      })
    })
  }

  kill(): void {
    this.state = 'dead'
  }

  wake(): void {
    if (this.state !== 'paused') return
    this.state = 'running'
    const { resolve } = this.#woken
    resolve()
  }

  release(): void {
    this.isHeld = () => false
    this.#released.resolve()
  }

  readonly #released = Promise.withResolvers<void>()
  readonly #woken = Promise.withResolvers<void>()

  /** Resolves, later, or never. */
  async #struck(effect: number, moment: Strike['moment']): Promise<void> {
    if (this.state === 'dead') return never()
    if (this.#strike?.effect === effect && this.#strike.moment === moment) {
      this.state = this.#strike.kind === 'kill' ? 'dead' : 'paused'
      if (this.state === 'dead') return never()
      this.isZombie = true
    }
    if (this.state === 'paused') await this.#woken.promise
    return undefined
  }

  #logger(): Logger {
    const at =
      (level: string): Logger['info'] =>
      (message, fields) => {
        if (/^checkpoint \d+ (declined|not )/.test(message)) this.unsuccessful += 1
        this.log.push(`${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`)
        if (this.log.length > 200) this.log.shift()
      }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

/** One of its own each time: what waits for it is forgotten with it. */
function never(): Promise<never> {
  return new Promise(() => undefined)
}
