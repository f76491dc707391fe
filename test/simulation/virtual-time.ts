/**
 * Time, timers and chance of a simulation: nothing passes by itself. The driver fires one timer after another, in order, and lets all
 * that follows from it happen before the next one. So a seed replays.
 */

interface Timer {
  readonly atMs: number
  readonly order: number
  /** False: its process is dead, or paused and not to be woken yet. */
  isDue(): boolean
  fire(): void
}

export class VirtualTime {
  #nowMs = 1_000
  #order = 0
  readonly #timers: Timer[] = []
  #wallOffsetMs = Date.UTC(2026, 0, 1)
  jumps = 0

  /** Reading it takes a little time, so that work without any wait comes to its end, too. */
  monotonicMs(): number {
    this.#nowMs += 0.001
    return this.#nowMs
  }

  now(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs)
  }

  /** Of the wall clock. */
  jump(byMs: number): void {
    if (byMs !== 0) this.jumps += 1
    this.#wallOffsetMs += byMs
  }

  after(delayMs: number, timer: Pick<Timer, 'isDue' | 'fire'>): void {
    this.#order += 1
    this.#timers.push({ ...timer, atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order })
  }

  /** Fires timers until `isOver`. False: nothing was left to happen, or `maxSteps` did not suffice. */
  async run(isOver: () => boolean, maxSteps = 30_000): Promise<boolean> {
    for (let step = 0; step < maxSteps; step += 1) {
      await settle()
      if (isOver()) return true
      const next = this.#takeNext()
      if (next === undefined) return false
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
    }
    return false
  }

  #takeNext(): Timer | undefined {
    let best: Timer | undefined
    for (const timer of this.#timers) {
      if (!timer.isDue()) continue
      if (best === undefined || timer.atMs < best.atMs || (timer.atMs === best.atMs && timer.order < best.order))
        best = timer
    }
    if (best !== undefined) this.#timers.splice(this.#timers.indexOf(best), 1)
    return best
  }
}

/** All promise reactions have run. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** mulberry32 */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
