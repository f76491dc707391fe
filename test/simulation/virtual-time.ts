/**
 * Time, timers and chance of a simulation: nothing passes by itself. The driver fires one timer after another, in order, and lets all
 * that follows from it happen before the next one. So a seed replays.
 */

export interface Timer {
  /** `waiting`: whose it is was paused, and is asked again once somebody was woken. `gone`: it never fires. */
  state(): 'due' | 'waiting' | 'gone'
  fire(): void
}

interface Pending extends Timer {
  readonly atMs: number
  readonly order: number
}

export class VirtualTime {
  #nowMs = 1_000
  #order = 0
  /** A binary heap, earliest first. */
  readonly #timers: Pending[] = []
  #waiting: Pending[] = []
  #wallOffsetMs = Date.UTC(2026, 0, 1)
  jumps = 0
  steps = 0

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

  /** When it will be, for what must not overtake another timer. */
  after(delayMs: number, timer: Timer, notBeforeMs = 0): number {
    this.#order += 1
    const atMs = Math.max(notBeforeMs, this.#nowMs + Math.max(0, delayMs))
    this.#push({ state: () => timer.state(), fire: () => timer.fire(), atMs, order: this.#order })
    return atMs
  }

  /** Somebody was woken: timers that waited for that may be due. */
  woken(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const timer of waiting) this.#push(timer)
  }

  /** Fires timers until `isOver`. False: nothing was left to happen, or `maxSteps` did not suffice. */
  async run(isOver: () => boolean, maxSteps = 60_000): Promise<boolean> {
    let isIdle = false
    for (let step = 0; step < maxSteps; step += 1) {
      await settle()
      if (isOver()) return true
      const next = this.#takeNext()
      // Whoever was asked whether it is over may have woken somebody.
      if (next === undefined && isIdle) return false
      isIdle = next === undefined
      if (next === undefined) continue
      this.steps += 1
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.fire()
    }
    return false
  }

  #takeNext(): Pending | undefined {
    for (let next = this.#pop(); next !== undefined; next = this.#pop()) {
      const state = next.state()
      if (state === 'due') return next
      if (state === 'waiting') this.#waiting.push(next)
    }
    return undefined
  }

  #push(timer: Pending): void {
    const heap = this.#timers
    let index = heap.length
    heap.push(timer)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent]
      if (above === undefined || isBefore(above, timer)) break
      heap[index] = above
      index = parent
    }
    heap[index] = timer
  }

  #pop(): Pending | undefined {
    const heap = this.#timers
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let index = 0
    for (;;) {
      const left = heap[2 * index + 1]
      const right = heap[2 * index + 2]
      const least = left !== undefined && right !== undefined && isBefore(right, left) ? right : left
      if (least === undefined || isBefore(last, least)) break
      heap[index] = least
      index = least === left ? 2 * index + 1 : 2 * index + 2
    }
    heap[index] = last
    return first
  }
}

function isBefore(a: Pending, b: Pending): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
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
