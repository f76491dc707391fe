/**
 * The checkpoint store: a handful of verbs; the only consistency it asks for is a linearizable conditional create.
 */
import { SluiceError } from './errors.ts'

/** Path-like: segments of [A-Za-z0-9._-], separated by `/`, none `.` or `..` or empty. */
export type Key = string

/**
 * Keys to bytes, written once each. Verbs of different keys are called side by side.
 *
 * Failures: a `create` that rejects with a RetryableError is called again with the same bytes until its answer is clear, with anything
 * else the process exits, as what became of an entry must be known. A `put` that rejects fails the checkpoint, not the job; its name is
 * not used again. A `delete` is tried again later.
 */
export interface CheckpointStore extends AsyncDisposable {
  /** For people: where this is, without secrets. */
  readonly uri: string
  /** Writes `bytes` under `key` unless it exists. Durable when it returns. `exists`: somebody was first, byte for byte unknown. */
  create(key: Key, bytes: Uint8Array): Promise<'created' | 'exists'>
  /** Writes a name that is used once. Durable when it returns; there whole or not at all, also after a crash. */
  put(key: Key, bytes: Uint8Array): Promise<void>
  /** Undefined: there is no such key. What `create` or `put` acknowledged, to anybody, is there. */
  get(key: Key): Promise<Uint8Array | undefined>
  /** Idempotent: a key that is not there is fine. */
  delete(key: Key): Promise<void>
  /** All keys that start with `prefix` (which ends in `/`), any order. For cleaning and people only, never for recovery. */
  list(prefix: Key): AsyncIterable<Key>
}

/**
 * A failed create or put whose effect is in doubt for good (a directory fsync failed: a second one lies). On the log the process
 * must exit; elsewhere the checkpoint fails.
 */
export class InDoubtError extends SluiceError {
  override readonly name = 'InDoubtError'
}
