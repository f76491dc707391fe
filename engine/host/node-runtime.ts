/**
 * The real world as the engine's Runtime: wall and monotonic clock, crypto randomness, Node's timers. The only place of the engine that
 * touches them.
 */
import { randomFillSync } from 'node:crypto'
import type { Clock, Logger, Random, Runtime, Timers } from '../api/index.ts'
import { textLogger } from './text-logger.ts'

/** The longest delay a Node timer takes; above it fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647
const POOL_BYTES = 4_096
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
/** Bytes from here on would favour the first letters. */
const FAIR_BYTES = 256 - (256 % ALPHABET.length)

/** What a run takes from the real world. @param logger default: text on standard error */
export function nodeRuntime(logger: Logger = textLogger()): Runtime {
  return { clock: nodeClock, random: cryptoRandom(), timers: nodeTimers, logger }
}

const nodeClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
}

const nodeTimers: Timers = {
  sleep: (delayMs, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(reasonOf(signal))
        return
      }
      let leftMs = Math.max(0, delayMs)
      let timer: NodeJS.Timeout
      const abort = (): void => {
        clearTimeout(timer)
        if (signal !== undefined) reject(reasonOf(signal))
      }
      const wait = (): void => {
        const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
        leftMs -= stepMs
        timer = setTimeout(leftMs > 0 ? wait : done, stepMs)
      }
      const done = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      signal?.addEventListener('abort', abort, { once: true })
      wait()
    }),
  yieldToEventLoop: () =>
    new Promise((resolve) => {
      setImmediate(resolve)
    }),
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new Error(String(reason), { cause: reason })
}

function cryptoRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES)
  let used = POOL_BYTES
  const take = (length: number): number => {
    if (used + length > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    used += length
    return used - length
  }
  return {
    // 48 bits: enough for jitter, exact in a double.
    next: () => pool.readUIntBE(take(6), 6) / 2 ** 48,
    token: (length) => {
      let token = ''
      while (token.length < length) {
        const byte = pool.readUInt8(take(1))
        if (byte < FAIR_BYTES) token += ALPHABET.charAt(byte % ALPHABET.length)
      }
      return token
    },
  }
}
