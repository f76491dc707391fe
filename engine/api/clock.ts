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

/** Chance, as one generator per process: seeded under simulation. */
export interface Random {
  /** In [0, 1). */
  next(): number
  /** `length` characters of [a-z0-9], unique enough to name things (36^length values). */
  token(length: number): string
}

/** Waiting. */
export interface Timers {
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
  /** Lets the event loop turn once (other sockets, timers and commits get their share). */
  yieldToEventLoop(): Promise<void>
}

/** Where messages for people go; `fields` are plain JSON values. Never throws, never blocks. */
export interface Logger {
  /** For who looks for a fault; not shown by default. */
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** What people want to know while all is well. */
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** Something is not as it should be, and the job goes on. */
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  /** Something failed; what becomes of the job is said by how it ends. */
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/** Everything of the outside world the engine needs besides store, sources and sinks. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly timers: Timers
  readonly logger: Logger
}
