/**
 * One snapshot of a task between its cut and its acknowledgement: keyed state still being encoded, blobs being stored, sinks preparing.
 */
import type { BlobReference, KeyedStateHandle, OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { KeyedSnapshot } from '../state/keyed-snapshot.ts'

export interface SnapshotParts {
  readonly checkpoint: number
  /** Complete but for state handles and committables, in graph order. */
  readonly operators: readonly OperatorSnapshot[]
  readonly states: readonly { readonly operator: string; readonly snapshot: KeyedSnapshot }[]
  /** All sinks' prepares; a rejection ends the attempt. */
  readonly prepared: Promise<unknown>
  putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
}

export type Stored =
  | { readonly kind: 'stored'; readonly handles: ReadonlyMap<string, KeyedStateHandle> }
  | { readonly kind: 'failed'; readonly error: unknown }

export class Snapshot {
  readonly parts: SnapshotParts
  #next = 0
  #abandoned = false

  constructor(parts: SnapshotParts) {
    this.parts = parts
  }

  get isEncoded(): boolean {
    return this.#next >= this.parts.states.length
  }

  /** One bounded slice of encoding. */
  encodeSlice(): void {
    const state = this.parts.states[this.#next]
    if (state?.snapshot.encodeSlice() === true) this.#next += 1
  }

  /** Stores the encoded state; never rejects. */
  async store(): Promise<Stored> {
    const handles = new Map<string, KeyedStateHandle>()
    try {
      const finished = this.parts.states.map(({ operator, snapshot }) => ({ operator, ...snapshot.finish() }))
      for (const { operator, bytes, handle } of finished) {
        const blob = bytes === null ? null : await this.parts.putBlob(operator, bytes)
        if (!this.#abandoned) handles.set(operator, handle(blob))
      }
      return { kind: 'stored', handles }
    } catch (error) {
      return { kind: 'failed', error }
    }
  }

  /** A newer trigger came: nothing of the state's snapshot is kept; prepared data is carried. */
  abandon(): void {
    this.#abandoned = true
    for (const { snapshot } of this.parts.states) snapshot.abandon()
  }
}
