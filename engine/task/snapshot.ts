/**
 * One snapshot of a task between its cut and its end: keyed state being encoded in slices, then blobs being stored.
 *
 * - T3: one call of `encodeSlice` is one bounded slice.
 */
import type { BlobReference, KeyedStateHandle, OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { KeyedSnapshot } from '../state/keyed-snapshot.ts'
import { failureAt } from './failure.ts'

export interface SnapshotParts {
  readonly checkpoint: number
  /** Complete but for state handles and committables, in graph order. */
  readonly operators: readonly OperatorSnapshot[]
  readonly states: readonly { readonly operator: string; readonly snapshot: KeyedSnapshot }[]
  putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
}

export type Stored =
  | { readonly kind: 'stored'; readonly handles: ReadonlyMap<string, KeyedStateHandle> }
  | { readonly kind: 'not-stored'; readonly error: unknown }
  | { readonly kind: 'abandoned' }

export class Snapshot {
  readonly parts: SnapshotParts
  #encoded = 0
  #abandoned = false

  constructor(parts: SnapshotParts) {
    this.parts = parts
  }

  get isEncoded(): boolean {
    return this.#encoded >= this.parts.states.length
  }

  /** @throws TaskFailure when a value cannot be encoded */
  encodeSlice(): void {
    const state = this.parts.states[this.#encoded]
    if (state === undefined) return
    try {
      if (state.snapshot.encodeSlice()) this.#encoded += 1
    } catch (error) {
      throw failureAt(`state of operator "${state.operator}" cannot be encoded`, error)
    }
  }

  /** After all is encoded. A store that fails is an answer, not an error: the job goes on. */
  async store(): Promise<Stored> {
    const { states } = this.parts
    const finished = states.map(({ operator, snapshot }) => ({ operator, segment: snapshot.finish() }))
    let blobs: readonly (BlobReference | null)[]
    try {
      blobs = await Promise.all(
        finished.map(async ({ operator, segment: { bytes } }) =>
          bytes === null ? null : this.parts.putBlob(operator, bytes),
        ),
      )
    } catch (error) {
      return this.#abandoned ? { kind: 'abandoned' } : { kind: 'not-stored', error }
    }
    if (this.#abandoned) return { kind: 'abandoned' }
    return {
      kind: 'stored',
      handles: new Map(
        finished.map(({ operator, segment }, index) => [operator, segment.handle(blobs[index] ?? null)]),
      ),
    }
  }

  /** The checkpoint will not complete: state keeps its dirty lists for the next one (F30). */
  abandon(): void {
    if (this.#abandoned) return
    this.#abandoned = true
    for (const { snapshot } of this.parts.states) snapshot.abandon()
  }
}
