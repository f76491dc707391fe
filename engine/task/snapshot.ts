/**
 * One snapshot of a task between its cut and its end: state being encoded in slices, then blobs being stored.
 *
 * - T3: one call of `encodeSlice` is one bounded slice.
 */
import type { BlobReference, OperatorSnapshot } from '../checkpoint/manifest.ts'
import { failureAt } from './failure.ts'

export interface SnapshotParts {
  readonly checkpoint: number
  /** Complete but for state handles and committables, in graph order. */
  readonly operators: readonly OperatorSnapshot[]
  readonly states: readonly StatePart[]
  putBlob(operator: string, bytes: Uint8Array): Promise<BlobReference>
}

/** State of one operator, as of the cut. */
export type StatePart = { readonly operator: string } & (
  | { readonly member: 'state'; readonly snapshot: Encoding<NonNullable<OperatorSnapshot['state']>> }
  | { readonly member: 'operatorState'; readonly snapshot: Encoding<NonNullable<OperatorSnapshot['operatorState']>> }
)

interface Encoding<Handle> {
  /** True when all is encoded. */
  encodeSlice(): boolean
  /** Then: what is to be stored (null: nothing), and the handle once it is. */
  finish(): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): Handle }
  abandon(): void
}

type Handles = Pick<OperatorSnapshot, 'state' | 'operatorState'>

export type Stored =
  /** By operator. */
  | { readonly kind: 'stored'; readonly handles: ReadonlyMap<string, Handles> }
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
    const finished = states.map((state) => ({ operator: state.operator, segment: finish(state) }))
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
    const handles = new Map<string, Handles>()
    for (const [index, { operator, segment }] of finished.entries()) {
      handles.set(operator, { ...handles.get(operator), ...segment.handle(blobs[index] ?? null) })
    }
    return { kind: 'stored', handles }
  }

  /** The checkpoint will not complete: state keeps its dirty lists for the next one (F30). */
  abandon(): void {
    if (this.#abandoned) return
    this.#abandoned = true
    for (const { snapshot } of this.parts.states) snapshot.abandon()
  }
}

function finish(state: StatePart): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): Handles } {
  if (state.member === 'state') {
    const finished = state.snapshot.finish()
    return { bytes: finished.bytes, handle: (blob) => ({ state: finished.handle(blob) }) }
  }
  const finished = state.snapshot.finish()
  return { bytes: finished.bytes, handle: (blob) => ({ operatorState: finished.handle(blob) }) }
}
