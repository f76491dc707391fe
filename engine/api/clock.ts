/**
 * Time, chance and scheduling, injected: the engine never calls Date.now, Math.random, setTimeout or setImmediate itself, so a
 * seeded simulation can drive a whole job.
 */

export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump either way; never used for order, ids or deadlines. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. Deadlines and intervals use this one. */
  monotonicMs(): number
}

export interface Random {
  /** In [0, 1). */
  next(): number
  /** `length` characters of [a-z0-9], unique enough to name things (36^length values). */
  token(length: number): string
}

export interface Timers {
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Lets the event loop turn once (other sockets, timers and commits get their share). */
  yieldToEventLoop(): Promise<void>
}

export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Everything of the outside world the engine needs besides store, sources and sinks. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  readonly logger: Logger
}
