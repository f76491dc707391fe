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
const SAY_AGAIN_MS = 5_000
/** How many numbers a start goes up when older generations take them first. */
const START_TRIES = 100

export class JobLog {
  readonly #store: CheckpointStore
  readonly #job: string
  readonly #runtime: Runtime
  #newest: LogEntry | undefined
  #appendedAtMs: number
  #appending = false

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
      `the log of "${job}" in ${store.uri} was written by job "${newest.job}" (F28): a directory that was renamed or copied? ` +
        `Use another store, or the id "${newest.job}"`,
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
   * Appends what `make` returns for the next number (asked again for a higher one when a start meets entries of older generations).
   * @throws FencedError a newer generation lives; InDoubtError the process must exit
   */
  async append(make: (seq: number, newest: LogEntry | undefined) => LogEntry): Promise<LogEntry> {
    if (this.#appending) throw new TerminalError('two appends at once')
    this.#appending = true
    try {
      for (let tries = 0; tries < START_TRIES; tries += 1) {
        const entry = make((this.#newest?.seq ?? 0) + 1, this.#newest)
        await this.#markIfDue(entry.seq)
        const other = await this.#create(entry)
        if (other === undefined) {
          this.#newest = entry
          this.#appendedAtMs = this.#runtime.clock.monotonicMs()
          await this.#cleanBehind(entry.seq)
          return entry
        }
        this.#newest = other
      }
      throw new FencedError(`could not append to the log of ${this.#job}: ${START_TRIES} numbers were taken by others`)
    } finally {
      this.#appending = false
    }
  }

  /** After `started`: if this mark exists, our number had been cleaned away and our view was stale. */
  async assertNotStale(seq: number): Promise<void> {
    const key = markKey(this.#job, markAfterStart(seq))
    if ((await this.#store.get(key)) === undefined) return
    throw new FencedError(
      `the log of ${this.#job} went on far beyond entry ${seq} while this process was away: a newer one lives`,
    )
  }

  /** Undefined: appended. An entry: somebody older was first, go on above it. */
  async #create(entry: LogEntry): Promise<LogEntry | undefined> {
    const key = logKey(this.#job, entry.seq)
    const bytes = encodeLogEntry(entry)
    const nowMs = (): number => this.#runtime.clock.monotonicMs()
    const deadlineMs = nowMs() + ASK_AGAIN_MS
    let sayAtMs = nowMs()
    for (;;) {
      let answer: AppendFacts['answer']
      let cause: unknown
      try {
        answer = await this.#store.create(key, bytes)
      } catch (error) {
        answer = error instanceof InDoubtError ? 'in-doubt' : 'unclear'
        cause = error
      }
      const found = answer === 'exists' ? await this.#read(key) : undefined
      const decision = decideAppend({ answer, ours: entry, found })
      switch (decision.kind) {
        case 'appended':
          return undefined
        case 'fenced':
          throw new FencedError(
            `generation ${entry.generation} of ${this.#job} is fenced: ${key} belongs to generation ${decision.by}`,
          )
        case 'in-doubt':
          throw cause
        case 'try-next':
          return found
        case 'ask-again':
          if (!(cause instanceof RetryableError) && (answer === 'unclear' || nowMs() > deadlineMs)) {
            throw new InDoubtError(`${key} may or may not have been written: ${messageOf(cause)}`, { cause })
          }
          if (nowMs() >= sayAtMs) {
            sayAtMs = nowMs() + SAY_AGAIN_MS
            this.#runtime.logger.warn(`${key} cannot be written and is tried again`, { error: messageOf(cause) })
          }
          await this.#runtime.timers.sleep(ASK_AGAIN_PAUSE_MS)
          break
        default:
          unreachable(decision)
      }
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
  async #markIfDue(nextSeq: number): Promise<void> {
    const mark = waymarkBefore(nextSeq)
    if (mark !== undefined) await this.#store.create(markKey(this.#job, mark), new Uint8Array())
  }
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
  )
}
