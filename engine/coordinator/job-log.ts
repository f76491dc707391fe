/**
 * The checkpoint log of one job, as one process sees it: finds the newest entry, appends the next one. One append in flight; its
 * outcome is known before anything else is decided. Decisions are engine/checkpoint's; this is their I/O.
 *
 * - C3: an append that meets a newer generation's entry throws FencedError; nothing is appended after that.
 * - C5: numbers only grow; an entry is never overwritten.
 */
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  messageOf,
  RetryableError,
  TerminalError,
  unreachable,
  type CheckpointStore,
  type Runtime,
} from '../api/index.ts'
import { decideAppend, waymarkBefore, type AppendFacts } from '../checkpoint/append.ts'
import { isCleanable } from '../checkpoint/retention.ts'
import { markAfterStart } from '../checkpoint/start.ts'
import { startSearch } from '../checkpoint/find-newest.ts'
import {
  decodeLogEntry,
  encodeLogEntry,
  logKey,
  markKey,
  MARK_DISTANCE,
  type LogEntry,
} from '../checkpoint/log-entry.ts'

/** How long an entry that is there and cannot be read is asked again. A store that says that it will work again is asked until it does. */
const ASK_AGAIN_MS = 30_000
const ASK_AGAIN_PAUSE_MS = 50
const ASK_AGAIN_LONGEST_PAUSE_MS = 2_000
const SAY_AGAIN_MS = 5_000
/** How often a log that goes on meanwhile is looked at anew. */
const MOST_LOOKS = 10
/** How many numbers a start goes up when older generations take them first. */
const START_TRIES = 100

export class JobLog {
  readonly #store: CheckpointStore
  readonly #job: string
  readonly #runtime: Runtime
  #newest: LogEntry | undefined
  #appendedAtMs: number
  /** Resolves when the append before is over. */
  #turn: Promise<void> = Promise.resolve()
  #closed: FencedError | InDoubtError | undefined

  private constructor(store: CheckpointStore, job: string, runtime: Runtime, newest: LogEntry | undefined) {
    this.#store = store
    this.#job = job
    this.#runtime = runtime
    this.#newest = newest
    this.#appendedAtMs = runtime.clock.monotonicMs()
  }

  /** @throws TerminalError when another job wrote this log */
  static async open(store: CheckpointStore, job: string, runtime: Runtime): Promise<JobLog> {
    const newest = await findNewest(store, job)
    if (newest === undefined || newest.job === job) return new JobLog(store, job, runtime, newest)
    throw new TerminalError(
      `the log of "${job}" in ${store.uri} was written by job "${newest.job}": a directory that was renamed or copied? ` +
        `Use another store, or the id "${newest.job}"`,
      { code: 'SLUICE_STORE_OF_OTHER_JOB' },
    )
  }

  get newest(): LogEntry | undefined {
    return this.#newest
  }

  silentMs(): number {
    return this.#runtime.clock.monotonicMs() - this.#appendedAtMs
  }

  /** Looks again, before anything of ours is in the log. */
  async refresh(): Promise<LogEntry | undefined> {
    this.#newest = await findNewest(this.#store, this.#job)
    return this.#newest
  }

  /**
   * What `read` makes of the newest entry, before anything of ours is in the log. A job that runs retires what an older entry refers to: when
   * something is missing and the log has gone on meanwhile, `read` is called again with the newer one.
   * @throws what `read` throws of the newest entry
   */
  async readNewest<T>(read: (newest: LogEntry | undefined) => Promise<T>): Promise<T> {
    for (let look = 1; ; look += 1) {
      const newest = this.#newest
      try {
        return await read(newest)
      } catch (error) {
        const isFromOlder = error instanceof CorruptCheckpointError && (await this.refresh())?.seq !== newest?.seq
        if (!isFromOlder || look >= MOST_LOOKS) throw error
      }
    }
  }

  /**
   * Appends what `make` returns for the next number (asked again for a higher one when a start meets entries of older generations).
   * Several callers take turns: `make` is called when the one before is resolved, and sees its entry.
   * @throws FencedError a newer generation lives; InDoubtError the process must exit. After either, every append throws it again.
   */
  async append(make: (seq: number, newest: LogEntry | undefined) => LogEntry): Promise<LogEntry> {
    const turn = this.#turn.then(() => this.#appendNow(make))
    this.#turn = turn.then(
      () => undefined,
      () => undefined,
    )
    return turn
  }

  async #appendNow(make: (seq: number, newest: LogEntry | undefined) => LogEntry): Promise<LogEntry> {
    if (this.#closed !== undefined) throw this.#closed
    try {
      for (let tries = 0; tries < START_TRIES; tries += 1) {
        const entry = make((this.#newest?.seq ?? 0) + 1, this.#newest)
        await this.#markIfDue(entry)
        await this.#refuseMissing()
        const other = await this.#create(entry)
        if (other === undefined) {
          this.#newest = entry
          this.#appendedAtMs = this.#runtime.clock.monotonicMs()
          await this.#cleanBehind(entry.seq)
          return entry
        }
        this.#newest = other
      }
      throw new FencedError(
        `could not append to the log of ${this.#job}: ${START_TRIES} numbers were taken by others`,
        { code: 'SLUICE_FENCED' },
      )
    } catch (error) {
      if (error instanceof FencedError || error instanceof InDoubtError) this.#closed = error
      throw error
    }
  }

  /** The facts after `started`: does the waymark exist that would mean that our number had been cleaned away? */
  async hasMarkAfter(startedSeq: number): Promise<boolean> {
    return (await this.#store.get(markKey(this.#job, markAfterStart(startedSeq)))) !== undefined
  }

  /**
   * Our newest entry has to be there still: in a store that was removed or put aside meanwhile the next one would be alone, and nobody who
   * starts later would find it (C7). What cannot be read now is left to the create; so is a next one that is there already, as ours may
   * have been cleaned away by a newer generation (C3).
   */
  async #refuseMissing(): Promise<void> {
    if (this.#newest === undefined) return
    const { seq } = this.#newest
    const key = logKey(this.#job, seq)
    const mayBeThere = (one: string): Promise<boolean> =>
      this.#store.get(one).then(
        (bytes) => bytes !== undefined,
        () => true,
      )
    if ((await mayBeThere(key)) || (await mayBeThere(logKey(this.#job, seq + 1)))) return
    throw new InDoubtError(
      `${key}, the newest entry of the log, is gone from ${this.#store.uri}: was the store removed while the job ran? Nothing more is ` +
        'completed. Bring it back and run again; in a new store the job begins anew and writes everything once more',
      { code: 'SLUICE_STORE_GONE' },
    )
  }

  /** Undefined: appended. An entry: somebody older was first, go on above it. */
  async #create(entry: LogEntry): Promise<LogEntry | undefined> {
    const key = logKey(this.#job, entry.seq)
    const bytes = encodeLogEntry(entry)
    const patience = this.#patience(key)
    for (;;) {
      const { answer, cause } = await this.#ask(key, bytes)
      const read = answer === 'exists' ? await this.#read(key).catch(unlessUnavailable) : undefined
      const found = read instanceof RetryableError ? undefined : read
      const decision = decideAppend({ answer, ours: entry, found })
      switch (decision.kind) {
        case 'appended':
          return undefined
        case 'fenced':
          throw new FencedError(
            `generation ${entry.generation} of ${this.#job} is fenced: ${key} belongs to ` +
              (decision.by === entry.generation ? 'another process of that generation' : `generation ${decision.by}`) +
              '; that run goes on, this one ends',
            { code: 'SLUICE_FENCED' },
          )
        case 'in-doubt':
          throw cause
        case 'try-next':
          return found
        case 'ask-again':
          if (answer === 'unclear' && !(cause instanceof RetryableError)) throw inDoubt(key, cause)
          await patience(cause ?? read)
          // A store that was put aside in the middle of it would be made anew by the next try.
          await this.#refuseMissing()
          break
        default:
          unreachable(decision)
      }
    }
  }

  async #ask(
    key: string,
    bytes: Uint8Array,
  ): Promise<{ readonly answer: AppendFacts['answer']; readonly cause?: unknown }> {
    try {
      return { answer: await this.#store.create(key, bytes) }
    } catch (cause) {
      return { answer: cause instanceof InDoubtError ? 'in-doubt' : 'unclear', cause }
    }
  }

  /** Waits before each next try, longer and longer. @throws InDoubtError when it is unclear for too long what became of `key` */
  #patience(key: string): (cause: unknown) => Promise<void> {
    const { clock, logger, timers } = this.#runtime
    const untilMs = clock.monotonicMs() + ASK_AGAIN_MS
    let sayAtMs = clock.monotonicMs()
    let pauseMs = ASK_AGAIN_PAUSE_MS
    return async (cause) => {
      const nowMs = clock.monotonicMs()
      if (nowMs > untilMs && !(cause instanceof RetryableError)) throw inDoubt(key, cause)
      if (nowMs >= sayAtMs) {
        sayAtMs = nowMs + SAY_AGAIN_MS
        logger.warn(`${key} could not be written yet and is tried again`, { error: messageOf(cause) })
      }
      await timers.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, ASK_AGAIN_LONGEST_PAUSE_MS)
    }
  }

  async #read(key: string): Promise<LogEntry | undefined> {
    const bytes = await this.#store.get(key)
    return bytes === undefined ? undefined : decodeLogEntry(key, bytes)
  }

  /** Each append cleans one entry far behind it (F29); `started` entries stay, as an old coordinator must always collide. */
  async #cleanBehind(seq: number): Promise<void> {
    const behind = seq - 2 * MARK_DISTANCE - 1
    if (behind < 1) return
    const key = logKey(this.#job, behind)
    const newestMark = Math.floor((seq - 1) / MARK_DISTANCE)
    try {
      const entry = await this.#read(key)
      if (entry !== undefined && isCleanable(behind, entry.kind, newestMark, MARK_DISTANCE))
        await this.#store.delete(key)
    } catch (error) {
      this.#runtime.logger.warn(`${key} could not be cleaned away and stays`, { error: messageOf(error) })
    }
  }

  /** Every 1,000th entry is followed by a waymark before the next append. */
  async #markIfDue({ seq }: LogEntry): Promise<void> {
    const mark = waymarkBefore(seq)
    if (mark === undefined) return
    const key = markKey(this.#job, mark)
    const patience = this.#patience(key)
    for (;;) {
      const failure = await this.#store.create(key, new Uint8Array()).then(() => undefined, unlessUnavailable)
      if (failure === undefined) return
      await patience(failure)
    }
  }
}

function unlessUnavailable(error: unknown): RetryableError {
  if (error instanceof RetryableError) return error
  throw error
}

function inDoubt(key: string, cause: unknown): InDoubtError {
  return new InDoubtError(`${key} may or may not have been written: ${messageOf(cause)}`, {
    code: 'SLUICE_STORE_IN_DOUBT',
    cause,
  })
}

async function findNewest(store: CheckpointStore, job: string): Promise<LogEntry | undefined> {
  const exists = async (key: string): Promise<boolean> => (await store.get(key)) !== undefined
  let step = startSearch()
  while (step.kind !== 'found') {
    const key = step.kind === 'probe-mark' ? markKey(job, step.number) : logKey(job, step.number)
    step = step.next(await exists(key))
  }
  await refuseGap(store, job, step.seq + 1)
  if (step.seq === 0) return undefined
  const key = logKey(job, step.seq)
  const bytes = await store.get(key)
  // Cleaned away between the two reads: the log went on meanwhile.
  return bytes === undefined ? findNewest(store, job) : decodeLogEntry(key, bytes)
}

/** An entry that somebody took away would make an older one look like the newest (F15). A log that goes on meanwhile has no gap. */
async function refuseGap(store: CheckpointStore, job: string, missing: number): Promise<void> {
  const [key, beyond] = [logKey(job, missing), logKey(job, missing + 1)]
  if ((await store.get(beyond)) === undefined || (await store.get(key)) !== undefined) return
  throw new CorruptCheckpointError(
    `log entry ${key} is missing from ${store.uri}, although ${beyond} is there; bring this file back from a backup; ` +
      'nothing older is used on our own, since what came after it may already be visible',
    { code: 'SLUICE_LOG_CORRUPT' },
  )
}
