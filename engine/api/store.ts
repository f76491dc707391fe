/**
 * The checkpoint store: a handful of verbs; the only consistency it asks for is a linearizable conditional create.
 */

/** Path-like: segments of [A-Za-z0-9._-], separated by `/`, none `.` or `..` or empty. */
export type Key = string

export interface CheckpointStore extends AsyncDisposable {
  /** For people: where this is, without secrets. */
  readonly uri: string
  /** Writes `bytes` under `key` unless it exists. Durable when it returns. `exists`: somebody was first, byte for byte unknown. */
  create(key: Key, bytes: Uint8Array): Promise<'created' | 'exists'>
  /** Writes a name that is used once. Durable when it returns. */
  put(key: Key, bytes: Uint8Array): Promise<void>
  get(key: Key): Promise<Uint8Array | undefined>
  /** Idempotent. */
  delete(key: Key): Promise<void>
  /** All keys that start with `prefix` (which ends in `/`), any order. For cleaning and people only, never for recovery. */
  list(prefix: Key): AsyncIterable<Key>
}

/**
 * A failed create or put whose effect is in doubt for good (a directory fsync failed: a second one lies). On the log the process
 * must exit; elsewhere the checkpoint fails.
 */
export class InDoubtError extends Error {
  override readonly name = 'InDoubtError'
}
