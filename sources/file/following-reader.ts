/**
 * Follows files that grow: all of them are open, and looked at in turn. Within a file records come in order; which file's come first
 * depends on who appended when. Files that appear while it reads join the others. There is no end.
 *
 * All waiting is in one round at a time (opens and reads, some at once), which a poll may leave pending without losing anything.
 */
import { TerminalError, type Clock, type SourceReader } from '../../engine/api/index.ts'
import { OpenSplit, type Assigned, type FilePolled, type FileReaderOptions } from './open-split.ts'
import type { FilePosition } from './position.ts'
import type { FileSplit } from './source.ts'
import { waitFor } from './wait.ts'

/** A descriptor each, and up to two reads' bytes while there is more than is taken. */
export const MAX_FOLLOWED = 1_000
/** A file in which nothing new was found is looked at again after so long. */
export const LOOK_AGAIN_MS = 100
const READS_AT_ONCE = 8

interface Followed<T> {
  readonly assigned: Assigned
  open: OpenSplit<T> | undefined
  /** On the monotonic clock. */
  lookAtMs: number
}

export class FollowingReader<T> implements SourceReader<T, FileSplit, FilePosition> {
  readonly #options: FileReaderOptions<T>
  readonly #clock: Clock
  #files: Followed<T>[] = []
  /** Where the next search for a block begins. */
  #turn = 0
  #round: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #broken: { readonly error: unknown } | undefined
  #isDisposed = false

  constructor(options: FileReaderOptions<T>, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  assign(splits: readonly Assigned[]): Promise<void> {
    return this.addSplits(splits)
  }

  /** They come in turn behind the others, and are opened with the next round. */
  addSplits(splits: readonly Assigned[]): Promise<void> {
    const count = this.#files.length + splits.length
    if (count > MAX_FOLLOWED) {
      const message =
        `${count} files are to be followed by one subtask, ${MAX_FOLLOWED} can be: narrow the path of the file source, ` +
        'or give it a higher parallelism'
      return Promise.reject(new TerminalError(message, { code: 'SLUICE_TOO_MANY_FILES' }))
    }
    this.#files.push(...splits.map((assigned) => ({ assigned, open: undefined, lookAtMs: 0 })))
    return Promise.resolve()
  }

  poll(signal: AbortSignal): Promise<FilePolled<T>> | FilePolled<T> {
    if (signal.aborted) return { kind: 'idle' }
    return this.#next() ?? this.#wait(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#round
    for (const { open } of this.#files) await open?.[Symbol.asyncDispose]()
    this.#files = []
  }

  async #wait(signal: AbortSignal): Promise<FilePolled<T>> {
    for (;;) {
      await waitFor(this.#round, signal)
      if (signal.aborted || this.#isDisposed) return { kind: 'idle' }
      const polled = this.#next()
      if (polled !== undefined) return polled
    }
  }

  /** Undefined: the round has to end first. */
  #next(): FilePolled<T> | undefined {
    if (this.#broken !== undefined) throw this.#broken.error
    const ready = this.#ready()
    if (ready !== undefined) return this.#take(ready)
    if (this.#round !== undefined) return undefined
    if (this.#failure !== undefined) throw this.#failure.error
    this.#startRound()
    if (this.#round !== undefined) return undefined
    const nowMs = this.#clock.monotonicMs()
    const nextMs = Math.min(...this.#files.map((file) => file.lookAtMs), nowMs + LOOK_AGAIN_MS)
    return { kind: 'idle', retryAfterMs: Math.max(1, Math.ceil(nextMs - nowMs)) }
  }

  #ready(): OpenSplit<T> | undefined {
    for (let step = 0; step < this.#files.length; step += 1) {
      const index = (this.#turn + step) % this.#files.length
      const open = this.#files[index]?.open
      if (open?.file.hasBlock !== true) continue
      this.#turn = index + 1
      return open
    }
    return undefined
  }

  #take(open: OpenSplit<T>): FilePolled<T> {
    const block = open.nextBlock()
    if (open.file.isLow) this.#startRound()
    try {
      return open.decode(block)
    } catch (error) {
      this.#broken = { error }
      throw error
    }
  }

  /** Of all files that want to be read now, if there is any. */
  #startRound(): void {
    if (this.#round !== undefined || this.#failure !== undefined || this.#isDisposed) return
    const nowMs = this.#clock.monotonicMs()
    const due = this.#files.filter(({ open, lookAtMs }) =>
      open?.file.isCaughtUp === false ? open.file.isLow : lookAtMs <= nowMs,
    )
    if (due.length === 0) return
    const queue = due.values()
    const readers = Array.from({ length: READS_AT_ONCE }, async () => {
      for (const file of queue) await this.#read(file)
    })
    this.#round = Promise.allSettled(readers).then((results) => {
      this.#round = undefined
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) this.#failure = { error: failed.reason }
    })
  }

  async #read(file: Followed<T>): Promise<void> {
    if (this.#isDisposed) return
    if (file.open === undefined) file.open = await OpenSplit.open(file.assigned, this.#options, true)
    else await file.open.file.read()
    if (file.open.file.isCaughtUp) file.lookAtMs = this.#clock.monotonicMs() + LOOK_AGAIN_MS
  }
}
