/** The boundary of keyed state, for the task. To be merged into keyed-state-backend.ts by its implementation. */
import type { BlobReference, KeyedStateHandle } from '../checkpoint/manifest.ts'
import type { StateDescriptor } from '../graph/job-graph.ts'

export interface KeyedStateBackend {
  /** One handle per descriptor name, bound to the current key: ValueState | ListState | MapState. Created once; stable identity. */
  readonly handles: Readonly<Record<string, unknown>>
  /** Selects the key that handles act on. @throws TerminalError for a key that is not a key (NaN, lone surrogates, objects …) */
  setCurrentKey(key: unknown): void
  /** The synchronous cut. `base`: newest completed checkpoint or null. One snapshot at a time. */
  cut(checkpoint: number, base: number | null): KeyedSnapshot
  /** `checkpoint` completed: dirty lists it covers may go. */
  completed(checkpoint: number): void
}

export interface KeyedSnapshot {
  /** Encodes the next slice (at most ~2 ms of work); true when all is encoded. Called between batches. */
  encodeSlice(): boolean
  /** After all is encoded: the blob to put under a name of the caller's (null when nothing new), and the handle once it is stored. */
  finish(): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): KeyedStateHandle }
  /** The checkpoint was abandoned: frees what the snapshot holds; dirty lists stay. */
  abandon(): void
}
export declare function createKeyedStateBackend(options: {
  readonly descriptors: Readonly<Record<string, StateDescriptor>>
  readonly maxParallelism: number
  readonly firstKeyGroup: number
  readonly lastKeyGroup: number
  /** Deep-freezes what get returns. */
  readonly freeze?: boolean
}): KeyedStateBackend
/** Loads and checks all blobs of the handles, decodes key groups on first touch; `idleSlice` decodes one more group in the background. */
export declare function restoreKeyedState(
  backend: KeyedStateBackend,
  handles: readonly KeyedStateHandle[],
  getBlob: (blob: BlobReference) => Promise<Uint8Array>,
): Promise<void>
