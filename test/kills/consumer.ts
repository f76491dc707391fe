/** Takes every visible file of the kill job at once, as a consumer may (F33). */
import { deepEqual } from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { expectedCounts, expectedEvens, SINKS, type Arena } from './harness.ts'

export class Consumer implements Disposable {
  readonly #arena: Arena
  readonly #timer: NodeJS.Timeout
  readonly #sinks: readonly string[]
  readonly #twice: string[] = []

  constructor(arena: Arena, sinks: readonly string[] = SINKS) {
    this.#arena = arena
    this.#sinks = sinks
    for (const sink of sinks) mkdirSync(arena.path('taken', sink), { recursive: true })
    this.#timer = setInterval(() => this.take(), 1)
  }

  /** What came again; so far. */
  get twice(): readonly string[] {
    return this.#twice
  }

  take(): void {
    for (const sink of this.#sinks) {
      for (const name of this.#arena.names(sink).filter((one) => !one.startsWith('.'))) {
        const target = this.#arena.path('taken', sink, name)
        if (existsSync(target)) this.#twice.push(name)
        renameSync(this.#arena.path(sink, name), target)
      }
    }
  }

  /** Each record once, in order. `fenced`: a generation that may have left hidden files. Returns the number of facts compared. */
  expectComplete(fenced = 0): number {
    this.take()
    deepEqual(this.#twice, [])
    deepEqual(this.#arena.visible('taken/counts'), expectedCounts())
    deepEqual(this.#arena.visible('taken/evens'), expectedEvens())
    const mayStay = `--${String(fenced).padStart(8, '0')}--`
    for (const sink of SINKS) {
      const left = this.#arena.hidden(sink)
      deepEqual(
        left.filter((name) => !name.includes(mayStay)),
        [],
      )
    }
    return expectedCounts().length + expectedEvens().length
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
