/**
 * Requests that come through the store, from where no socket reaches: numbered objects under the name of this very process, taken one after
 * another. What was meant for an earlier process lies under another name and is never acted on.
 *
 * - A request stays until the process ends: its number must not be free for another one that nobody would look for.
 * - Costs one `get` of a key that is not there per POLL_MS, whatever else happens; no listing but the sweep at a start.
 * - C3: the sweep deletes what generations below ours have left. A fenced sweeper that wakes up takes nothing of its successor.
 */
import { messageOf, type CheckpointStore, type Key, type Runtime } from '../../engine/api/index.ts'
import type { HolderIdentity } from '../../engine/checkpoint/log-entry.ts'
import {
  encodeMessage,
  generationIn,
  mailboxOf,
  parseRequest,
  prefixOf,
  tokenOf,
  type ControlOutcome,
  type ControlRequest,
  type Mailbox,
  type Verb,
} from './protocol.ts'

export interface MailboxOptions {
  readonly job: string
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly holder: HolderIdentity
  /** Resolves with the outcome; never rejects. */
  readonly ask: (verb: Verb) => Promise<ControlOutcome>
}

export const POLL_MS = 1_000
/** C8: as many are taken from one process's mailbox; one a minute for two months. */
export const MOST_REQUESTS = 100_000
/** What is under way at the end may take so long. */
const CLOSE_MS = 5_000

export class MailboxReader implements AsyncDisposable {
  readonly #options: MailboxOptions
  readonly #mailbox: Mailbox | undefined
  readonly #over = new AbortController()
  readonly #reading: Promise<void>
  readonly #taken = new Set<Promise<void>>()
  #next = 1
  #sweeping: Promise<void> | undefined
  #isClosed = false

  constructor(options: MailboxOptions) {
    this.#options = options
    this.#mailbox = mailboxOf(options.job, options.holder)
    this.#reading = this.#mailbox === undefined ? Promise.resolve() : this.#read(this.#mailbox)
  }

  /** Beside everything else, once. */
  sweep(generation: number): void {
    this.#sweeping ??= this.#sweep(generation).catch((error: unknown) => this.#say('not swept', error))
  }

  /** Answers stay for those who asked; requests have been heard. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('the run is over'))
    const alarm = new AbortController()
    const late = this.#options.runtime.timers.sleep(CLOSE_MS, alarm.signal).catch(() => undefined)
    const done = Promise.all([this.#reading, this.#sweeping]).then(() => Promise.all(this.#taken))
    await Promise.race([late, done.then(() => this.#clean())])
    this.#isClosed = true
    alarm.abort()
  }

  async #read(mailbox: Mailbox): Promise<void> {
    const { store, runtime } = this.#options
    const { signal } = this.#over
    while (!signal.aborted && this.#next <= MOST_REQUESTS) {
      const bytes = await this.#get(mailbox.requestKey(this.#next), store)
      if (bytes === undefined) {
        await runtime.timers.sleep(POLL_MS, signal).catch(() => undefined)
        continue
      }
      const taken = this.#take(mailbox.answerKey(this.#next), parseRequest(textOf(bytes)))
      this.#taken.add(taken)
      void taken.finally(() => this.#taken.delete(taken))
      this.#next += 1
    }
  }

  /** What cannot be read now can be read later. */
  async #get(key: Key, store: CheckpointStore): Promise<Uint8Array | undefined> {
    try {
      return await store.get(key)
    } catch (error) {
      this.#say(`${key} could not be read and is tried again`, error)
      return undefined
    }
  }

  async #take(answerKey: Key, request: ControlRequest | undefined): Promise<void> {
    const { job, store, ask } = this.#options
    const outcome: ControlOutcome =
      request?.job === job
        ? await ask(request.verb)
        : { kind: 'refused', reason: 'this release does not understand it' }
    // The log says it, and goes on saying it.
    if (outcome.kind === 'ended' || outcome.kind === 'broken-off') return
    const text = encodeMessage({ ...outcome, generation: request?.generation ?? 0 })
    await store
      .put(answerKey, Buffer.from(text))
      .catch((error: unknown) => this.#say(`${answerKey} was not written`, error))
  }

  async #sweep(generation: number): Promise<void> {
    const { job, store, holder } = this.#options
    for await (const key of store.list(prefixOf(job))) {
      const token = tokenOf(job, key)
      if (token === undefined || token === holder.socket) continue
      const bytes = await store.get(key)
      const theirs = bytes === undefined ? undefined : generationIn(textOf(bytes))
      if (theirs !== undefined && theirs < generation) await store.delete(key)
      if (this.#isClosed) return
    }
  }

  /** By name. What is left is swept by the next start. */
  async #clean(): Promise<void> {
    const { store } = this.#options
    for (let number = 1; number < this.#next; number += 1) {
      const key = this.#mailbox?.requestKey(number)
      if (key !== undefined) await store.delete(key).catch((error: unknown) => this.#say(`${key} stays`, error))
    }
  }

  #say(what: string, error: unknown): void {
    this.#options.runtime.logger.debug(`control: ${what}`, { error: messageOf(error) })
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}
