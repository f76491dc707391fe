/**
 * Operator state at the edge: a cut is stored, parts of a checkpoint are loaded and brought into a new backend.
 */
import { CorruptCheckpointError, messageOf, TerminalError } from '../api/index.ts'
import type { BlobReference, OperatorSnapshot, OperatorStateHandle } from '../checkpoint/manifest.ts'
import type { DecodedOperatorState } from './operator-state-codec.ts'
import type { OperatorStateCut } from './operator-state-cut.ts'
import { decodeHandle } from './operator-state-handle.ts'
import type { Subtask } from './share.ts'

/**
 * What is left to encode is encoded before this returns, at once: who has other work to do calls `encodeSlice` until it answers true.
 * The cut must not have been given up. @throws what `putBlob` throws, TerminalError for a value that cannot be kept
 */
export async function storeOperatorState(
  cut: OperatorStateCut,
  putBlob: (bytes: Uint8Array) => Promise<BlobReference>,
): Promise<OperatorStateHandle> {
  while (!cut.encodeSlice());
  const finished = cut.finish()
  return finished.handle(finished.bytes === null ? null : await putBlob(finished.bytes))
}

/** @throws what `getBlob` throws, CorruptCheckpointError naming where the bytes lie */
export async function loadOperatorState(
  handle: OperatorStateHandle,
  getBlob: (blob: BlobReference) => Promise<Uint8Array>,
): Promise<DecodedOperatorState> {
  return decodeHandle(handle, 'blob' in handle ? await getBlob(handle.blob) : null)
}

export interface OperatorStateRestore {
  readonly operator: string
  /** The parts of the operator in the checkpoint, of all its old subtasks; none: nothing is restored. */
  readonly parts: readonly OperatorSnapshot[]
  readonly me: Subtask
  /** Checks the bytes, too. @throws CorruptCheckpointError naming the blob */
  readonly getBlob: (blob: BlobReference) => Promise<Uint8Array>
}

interface Restorable {
  restore(parts: readonly (Subtask & { readonly state: DecodedOperatorState })[], me: Subtask): void
}

/**
 * Before the first record.
 * @throws CorruptCheckpointError, TerminalError for state that the job does not declare alike: naming the operator. What `getBlob` throws
 */
export async function restoreOperatorState(backend: Restorable, options: OperatorStateRestore): Promise<void> {
  const { operator, parts, me, getBlob } = options
  try {
    const loaded = await Promise.all(
      parts.flatMap(({ subtask, parallelism, operatorState }) =>
        operatorState === undefined ? [] : [load({ subtask, parallelism }, operatorState, getBlob)],
      ),
    )
    backend.restore(loaded, me)
  } catch (error) {
    const message = `operator "${operator}": ${messageOf(error)}`
    if (error instanceof CorruptCheckpointError) throw new CorruptCheckpointError(message, { cause: error })
    if (error instanceof TerminalError) throw new TerminalError(message, { cause: error })
    throw error
  }
}

async function load(
  of: Subtask,
  handle: OperatorStateHandle,
  getBlob: OperatorStateRestore['getBlob'],
): Promise<Subtask & { readonly state: DecodedOperatorState }> {
  return { ...of, state: await loadOperatorState(handle, getBlob) }
}
