/**
 * The transactional ids of one writer. An id is taken for one transaction, and free again only when that one is known to be committed for
 * good (`settled`): its next use would abort it otherwise. When none is free the writer waits (C8); none is ever used before.
 *
 * Ids bear names of the engine, with the generation in them: a process that was fenced cannot abort what its successor prepared.
 */
export interface TransactionalId {
  readonly name: string
  /** 1 for its first transaction. */
  readonly use: number
}

export interface IdPoolOptions {
  /** So many are in use at most; those of a host that never says `settled` do not count. */
  readonly size: number
  readonly nextName: () => string
  readonly signal: AbortSignal
}

export class IdPool {
  readonly #options: IdPoolOptions
  /** First in, first out: an id rests for as long as it can. */
  readonly #free: TransactionalId[] = []
  readonly #unsettled: { readonly id: TransactionalId; readonly checkpoint: number }[] = []
  readonly #waiting: PromiseWithResolvers<TransactionalId>[] = []
  #inUse = 0

  constructor(options: IdPoolOptions) {
    this.#options = options
    const { signal } = options
    signal.addEventListener('abort', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(signal.reason)
    })
  }

  /** Would `take` wait? */
  get isExhausted(): boolean {
    return this.#free.length === 0 && this.#inUse >= this.#options.size
  }

  /** Somebody waits for one. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0
  }

  /** @throws what the signal says, when it comes before an id is free */
  async take(): Promise<TransactionalId> {
    this.#options.signal.throwIfAborted()
    if (!this.isExhausted) {
      this.#inUse += 1
      return this.#free.shift() ?? { name: this.#options.nextName(), use: 1 }
    }
    const waiting = Promise.withResolvers<TransactionalId>()
    this.#waiting.push(waiting)
    return await waiting.promise
  }

  /** Instead of one that was taken and may not be used any more. */
  replace(): TransactionalId {
    return { name: this.#options.nextName(), use: 1 }
  }

  /** One that was taken is not used, and never will be. */
  drop(): void {
    this.#release()
  }

  /** Its transaction is prepared for this checkpoint; undefined: nobody will say when it is settled, so it is never used again. */
  prepared(id: TransactionalId, checkpoint: number | undefined): void {
    if (checkpoint === undefined) this.#release()
    else this.#unsettled.push({ id, checkpoint })
  }

  /** All that was prepared up to this checkpoint is committed, durably. */
  settled(through: number): void {
    while (this.#unsettled[0] !== undefined && this.#unsettled[0].checkpoint <= through) {
      const settled = this.#unsettled.shift()
      if (settled !== undefined) this.#free.push({ name: settled.id.name, use: settled.id.use + 1 })
      this.#release()
    }
  }

  #release(): void {
    this.#inUse -= 1
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) void this.take().then(waiting.resolve, waiting.reject)
  }
}
