/**
 * How operator state lies in a checkpoint: few bytes in the manifest itself, more in a blob of their own. Encoding and decoding are pure;
 * who calls puts and gets the blob.
 */
import { codeOf, CorruptCheckpointError, messageOf } from '../api/index.ts'
import type { BlobReference, OperatorStateHandle } from '../checkpoint/manifest.ts'
import { decodeOperatorState, type DecodedOperatorState, type OperatorStateKind } from './operator-state-codec.ts'

/** Encoded; in base64 a third more. A manifest holds as many of them as there are subtasks. */
export const INLINE_BYTES = 2_048

export function needsBlob(bytes: Uint8Array): boolean {
  return bytes.byteLength > INLINE_BYTES
}

/** `blob` holds `bytes`; null where they need none. */
export function encodeHandle(
  states: readonly { readonly name: string; readonly kind: OperatorStateKind }[],
  bytes: Uint8Array,
  blob: BlobReference | null,
): OperatorStateHandle {
  const descriptors = Object.fromEntries(states.map(({ name, kind }) => [name, { kind }]))
  const where = blob === null ? { inline: Buffer.from(bytes).toString('base64') } : { blob }
  return { format: 1, descriptors, ...where }
}

/** `bytes` are those of the handle's blob; null where it has none. @throws CorruptCheckpointError */
export function decodeHandle(handle: OperatorStateHandle, bytes: Uint8Array | null): DecodedOperatorState {
  const where = 'blob' in handle ? handle.blob.key : 'the manifest'
  try {
    const held = 'inline' in handle ? Buffer.from(handle.inline, 'base64') : bytes
    if (held === null)
      throw new CorruptCheckpointError('its blob was not loaded', { code: 'SLUICE_CHECKPOINT_CORRUPT' })
    const format: number = handle.format
    if (format !== 1)
      throw new CorruptCheckpointError(`format ${format} is not known to this version, which reads 1`, {
        code: 'SLUICE_FORMAT_UNKNOWN',
      })
    return checked(handle, decodeOperatorState(held))
  } catch (error) {
    throw new CorruptCheckpointError(`operator state in ${where} cannot be read: ${messageOf(error)}`, {
      code: codeOf(error) ?? 'SLUICE_CHECKPOINT_CORRUPT',
      cause: error,
    })
  }
}

/** The manifest and the bytes must be about the same states. */
function checked(handle: OperatorStateHandle, state: DecodedOperatorState): DecodedOperatorState {
  const told = Object.entries(handle.descriptors).map(([name, { kind }]) => `"${name}" (${kind})`)
  const held = [...state].map(([name, { kind }]) => `"${name}" (${kind})`)
  if (told.toSorted().join() === held.toSorted().join()) return state
  throw new CorruptCheckpointError(`it holds ${held.join(', ') || 'nothing'}, the manifest names ${told.join(', ')}`, {
    code: 'SLUICE_CHECKPOINT_CORRUPT',
  })
}
