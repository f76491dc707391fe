/**
 * Reads the files one after another, batch by batch. All waiting is in `#work`, one piece at a time (an open, a read or a close), which a
 * poll may leave pending without losing anything; decoding happens in `poll`, so that a barrier never waits for it elsewhere.
 */
import type { SourceReader } from '../../engine/api/index.ts'
import { OpenSplit, type Assigned, type FilePolled, type FileReaderOptions } from './open-split.ts'
import type { FilePosition } from './position.ts'
import type { FileSplit } from './source.ts'
import { waitFor } from './wait.ts'

export class FileReader<T> implements SourceReader<T, FileSplit, FilePosition> {
  readonly #options: FileReaderOptions<T>
  #queue: Assigned[] = []
  #current: OpenSplit<T> | undefined
  #work: Promise<void> | undefined
  /** Of a read: thrown when what was read before is taken. */
  #failure: { readonly error: unknown } | undefined
  /** Of a record: nothing behind it is given out. */
  #broken: { readonly error: unknown } | undefined
  #isDisposed = false

  constructor(options: FileReaderOptions<T>) {
    this.#options = options
  }

  assign(splits: readonly Assigned[]): Promise<void> {
    this.#queue = [...splits]
    return Promise.resolve()
  }

  poll(signal: AbortSignal): Promise<FilePolled<T>> | FilePolled<T> {
    if (signal.aborted) return { kind: 'idle' }
    return this.#next() ?? this.#wait(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.#work
    await this.#current?.[Symbol.asyncDispose]()
    this.#current = undefined
  }

  async #wait(signal: AbortSignal): Promise<FilePolled<T>> {
    for (;;) {
      await waitFor(this.#work, signal)
      if (signal.aborted || this.#isDisposed) return { kind: 'idle' }
      const polled = this.#next()
      if (polled !== undefined) return polled
    }
  }

  /** Undefined: `#work` has to end first. */
  #next(): FilePolled<T> | undefined {
    if (this.#broken !== undefined) throw this.#broken.error
    const current = this.#current
    if (current?.file.hasBlock === true) return this.#take(current)
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#work !== undefined) return undefined
    if (current === undefined) {
      const next = this.#queue.shift()
      if (next === undefined) return { kind: 'ended' }
      this.#start(async () => {
        this.#current = await OpenSplit.open(next, this.#options, false)
      })
      return undefined
    }
    if (!current.file.isDrained) {
      this.#start(() => current.file.read())
      return undefined
    }
    this.#current = undefined
    current.end()
    this.#start(() => current[Symbol.asyncDispose]())
    return { kind: 'split-ended', split: current.split }
  }

  #take(current: OpenSplit<T>): FilePolled<T> {
    const block = current.nextBlock()
    if (current.file.isLow && this.#work === undefined && this.#failure === undefined) {
      this.#start(() => current.file.read())
    }
    try {
      return current.decode(block)
    } catch (error) {
      // Never passed over by a later poll.
      this.#broken = { error }
      throw error
    }
  }

  #start(work: () => Promise<void>): void {
    this.#work = work().then(
      () => {
        this.#work = undefined
      },
      (error: unknown) => {
        this.#work = undefined
        // Thrown by the poll that gets there: what was read before is good.
        this.#failure = { error }
      },
    )
  }
}
