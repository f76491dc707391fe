/**
 * A shop that takes orders all the time: appends them to one NDJSON file at a steady rate, whether anybody reads them or not.
 *
 * Each life of the job has its portion of the orders, so that on a slow machine, too, every life has something to do: the shop waits
 * when the portions given out so far are used up.
 */
import { once } from 'node:events'
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { orderAt } from '../orders/generate.ts'

export interface ShopPlan {
  readonly file: string
  readonly seed: number
  readonly records: number
  /** It takes at least so long for all of them. */
  readonly seconds: number
}

const PAUSE_MS = 20

export class Shop {
  readonly #plan: ShopPlan
  readonly #stream: WriteStream
  #written = 0
  #allowed = 0

  constructor(plan: ShopPlan) {
    mkdirSync(dirname(plan.file), { recursive: true })
    this.#plan = plan
    this.#stream = createWriteStream(plan.file)
  }

  /** Orders so far. */
  get written(): number {
    return this.#written
  }

  /** It may go on until this part of what is left has been written, 0 to 1. */
  allow(part: number): void {
    this.#allowed = this.#written + Math.ceil(part * (this.#plan.records - this.#written))
  }

  /** Resolves when it has closed: all orders are in the file. @throws the signal's reason */
  async open(signal: AbortSignal): Promise<void> {
    const { records, seconds, seed } = this.#plan
    const perMs = records / (seconds * 1_000)
    let lastAtMs = performance.now()
    let due = 0
    while (this.#written < records) {
      await pause(PAUSE_MS, undefined, { signal })
      const nowMs = performance.now()
      // What it could not write while it had to wait is not made up for.
      due = Math.min(due + (nowMs - lastAtMs) * perMs, this.#allowed - this.#written)
      lastAtMs = nowMs
      let text = ''
      for (; due >= 1; due -= 1) {
        text += `${JSON.stringify(orderAt(seed, this.#written))}\n`
        this.#written += 1
      }
      if (text !== '' && !this.#stream.write(text)) await once(this.#stream, 'drain', { signal })
    }
    this.#stream.end()
    await once(this.#stream, 'finish', { signal })
  }
}
