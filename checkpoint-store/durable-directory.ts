/**
 * One directory of the disk store, and how the names in it become durable.
 *
 * - One fsync at a time, shared by all that changed a name before it began; its descriptor is kept open.
 * - A failed fsync is the answer for all whose change it may have swept along, those waiting for the next one too: the kernel
 *   reports a failed write back once, drops the dirty page, and a second fsync of it says "fine".
 */
import { InDoubtError, messageOf } from '../engine/api/index.ts'
import type { FileOperations } from '../clients/file/operations.ts'

export class DurableDirectory {
  readonly path: string
  readonly #fs: FileOperations
  #fd: Promise<number> | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  /** So far. A change during which it grew may be lost. */
  #failures = 0

  constructor(path: string, fs: FileOperations) {
    this.path = path
    this.#fs = fs
  }

  get isIdle(): boolean {
    return this.#running === undefined
  }

  /** Opens the descriptor, so that a lack of them is found before a name is changed. */
  async open(): Promise<void> {
    this.#fd ??= this.#fs.openDirectory(this.path).catch((error: unknown) => {
      this.#fd = undefined
      throw error
    })
    await this.#fd
  }

  /** Taken before a name is changed, given to `sync` afterwards. */
  mark(): number {
    return this.#failures
  }

  /**
   * Makes durable every change of a name in here that was done between `mark` and this call.
   * @throws InDoubtError if that is not known and never will be
   */
  async sync(mark: number): Promise<void> {
    await this.#sync()
    if (mark !== this.#failures) throw this.#inDoubt(new Error('an fsync at the same time failed'))
  }

  #sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#fsync().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#next ??= this.#after(this.#running)
    return this.#next
  }

  async close(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    await this.#running?.catch(() => undefined)
    if (fd === undefined) return
    await fd.then(
      (opened) => this.#fs.close(opened),
      () => undefined,
    )
  }

  async #after(running: Promise<void>): Promise<void> {
    await running.catch(() => undefined)
    this.#next = undefined
    return this.#sync()
  }

  async #fsync(): Promise<void> {
    try {
      this.#fd ??= this.#fs.openDirectory(this.path)
      await this.#fs.fsync(await this.#fd)
    } catch (error) {
      this.#failures += 1
      const fd = this.#fd
      this.#fd = undefined
      void fd?.then((opened) => this.#fs.close(opened)).catch(() => undefined)
      throw this.#inDoubt(error)
    }
  }

  #inDoubt(cause: unknown): InDoubtError {
    return new InDoubtError(
      `a change in ${this.path} may not survive a power loss: fsync of the directory failed (${messageOf(cause)}); ` +
        'asking again would not tell, so start the job again once the disk is well',
      { code: 'SLUICE_STORE_IN_DOUBT', cause },
    )
  }
}
