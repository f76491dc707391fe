/**
 * Checkpoints that somebody asks for by hand, and what became of them. All who ask before the next trigger share one checkpoint; one that
 * is already in flight is not theirs, since its barrier may be behind them.
 */
import { unreachable } from '../api/index.ts'

/** What became of a checkpoint that was asked for. */
export type CheckpointOutcome =
  | { readonly kind: 'completed'; readonly checkpoint: number }
  /** Declined, timed out, or the job ended first; asking again may help while it runs. */
  | { readonly kind: 'not-completed'; readonly reason: string }

/** What is waited for: the checkpoint is durable, or all of it is visible as well. */
export type CheckpointMilestone = 'completed' | 'committed'

interface Request {
  readonly until: CheckpointMilestone
  resolve(outcome: CheckpointOutcome): void
}

/** Give it to `runJob` as `requests`, and ask it while the job runs. */
export class CheckpointRequests {
  /** Asked for; no trigger since. */
  #waiting: Request[] = []
  /** In flight, or completed and waited for until it is committed. */
  readonly #bound = new Map<number, { readonly requests: readonly Request[]; isCompleted: boolean }>()
  #onRequest: () => void = () => undefined
  #closed: string | undefined

  /** Resolves, never rejects; also when the job restarts meanwhile or ends. */
  request(until: CheckpointMilestone = 'completed'): Promise<CheckpointOutcome> {
    if (this.#closed !== undefined) return Promise.resolve({ kind: 'not-completed', reason: this.#closed })
    const { promise, resolve } = Promise.withResolvers<CheckpointOutcome>()
    this.#waiting.push({ until, resolve })
    this.#onRequest()
    return promise
  }

  /** From here on it is the coordinator that calls. `onRequest` replaces the one before. */
  listen(onRequest: () => void): void {
    this.#onRequest = onRequest
    if (this.#waiting.length > 0) onRequest()
  }

  /** By the coordinator: all who wait get this one. */
  triggered(checkpoint: number): void {
    if (this.#waiting.length === 0) return
    this.#bound.set(checkpoint, { requests: this.#waiting, isCompleted: false })
    this.#waiting = []
  }

  /** By the coordinator: it is durable. */
  completed(checkpoint: number): void {
    const bound = this.#bound.get(checkpoint)
    if (bound === undefined) return
    bound.isCompleted = true
    for (const request of bound.requests) {
      switch (request.until) {
        case 'completed':
          request.resolve({ kind: 'completed', checkpoint })
          break
        case 'committed':
          break
        default:
          unreachable(request.until)
      }
    }
  }

  /** By the coordinator: it was declined, timed out, or its attempt ended. */
  notCompleted(checkpoint: number, reason: string): void {
    const bound = this.#bound.get(checkpoint)
    this.#bound.delete(checkpoint)
    for (const request of bound?.requests ?? []) request.resolve({ kind: 'not-completed', reason })
  }

  /** Everything up to here is committed, by this attempt or by the recovery of a later one. */
  committed(through: number): void {
    for (const [checkpoint, { requests, isCompleted }] of this.#bound) {
      if (!isCompleted || checkpoint > through) continue
      this.#bound.delete(checkpoint)
      for (const request of requests) request.resolve({ kind: 'completed', checkpoint })
    }
  }

  /** What was in flight will not complete; what is completed will be committed by the next attempt. */
  attemptEnded(reason: string): void {
    this.#onRequest = () => undefined
    for (const [checkpoint, { isCompleted }] of this.#bound) if (!isCompleted) this.notCompleted(checkpoint, reason)
  }

  /** The job is over: nobody waits any longer. */
  close(reason: string): void {
    this.attemptEnded(reason)
    this.#closed = reason
    for (const checkpoint of this.#bound.keys()) this.notCompleted(checkpoint, reason)
    for (const request of this.#waiting) request.resolve({ kind: 'not-completed', reason })
    this.#waiting = []
  }
}
