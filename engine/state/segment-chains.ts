/**
 * Which stretches of which blobs make up each key group: its base, then its deltas, oldest first.
 */
import { CorruptCheckpointError, TerminalError } from '../api/index.ts'
import type { BlobReference, KeyedStateHandle } from '../checkpoint/manifest.ts'
import type { StateNames } from './segment-codec.ts'

export interface Segment {
  readonly blob: BlobReference
  readonly offset: number
  readonly length: number
}

/** By key group. */
export type Chains = readonly (readonly Segment[])[]

export function handleOf(states: StateNames, chains: Chains): KeyedStateHandle {
  const indexes = new Map<string, number>()
  const blobs: BlobReference[] = []
  const indexOf = (blob: BlobReference): number => {
    let index = indexes.get(blob.key)
    if (index === undefined) {
      index = blobs.length
      indexes.set(blob.key, index)
      blobs.push(blob)
    }
    return index
  }
  const keyGroups = chains.flatMap((chain, keyGroup) => {
    if (chain.length === 0) return []
    return [{ keyGroup, segments: chain.map(({ blob, offset, length }) => [indexOf(blob), offset, length] as const) }]
  })
  const descriptors = Object.fromEntries(states.map(([name, kind]) => [name, { kind }]))
  return { format: 1, descriptors, blobs, keyGroups }
}

/** Merges the handles of several old subtasks; key groups outside `first` to `last` are another subtask's. */
export function chainsOf(
  handles: readonly KeyedStateHandle[],
  { maxParallelism, first, last }: { readonly maxParallelism: number; readonly first: number; readonly last: number },
): Chains {
  const chains: (readonly Segment[])[] = Array.from({ length: maxParallelism }, () => [])
  for (const handle of handles) {
    for (const { keyGroup, segments } of handle.keyGroups) {
      if (keyGroup >= maxParallelism) {
        throw new TerminalError(
          `the checkpoint holds key group ${keyGroup}, maxParallelism is ${maxParallelism}: set it back`,
          { code: 'SLUICE_KEY_GROUPS_CHANGED' },
        )
      }
      if (keyGroup < first || keyGroup > last) continue
      if ((chains[keyGroup] ?? []).length > 0) {
        throw new CorruptCheckpointError(`key group ${keyGroup} is held by two subtasks of the checkpoint`, {
          code: 'SLUICE_CHECKPOINT_CORRUPT',
        })
      }
      chains[keyGroup] = segments.map((segment) => segmentOf(handle, keyGroup, segment))
    }
  }
  return chains
}

function segmentOf(handle: KeyedStateHandle, keyGroup: number, place: readonly [number, number, number]): Segment {
  const [index, offset, length] = place
  const blob = handle.blobs[index]
  if (blob === undefined)
    throw new CorruptCheckpointError(`key group ${keyGroup} refers to blob number ${index}, which is not listed`, {
      code: 'SLUICE_CHECKPOINT_CORRUPT',
    })
  if (offset + length > blob.sizeBytes) {
    throw new CorruptCheckpointError(
      `key group ${keyGroup} refers to ${length} bytes at ${offset} of ${blob.key}, which has ${blob.sizeBytes}`,
      { code: 'SLUICE_CHECKPOINT_CORRUPT' },
    )
  }
  return { blob, offset, length }
}

/** What the checkpoint holds and the job does not declare alike. `dropped` names states that may go. @throws TerminalError */
export function assertCompatible(
  handles: readonly Pick<KeyedStateHandle, 'descriptors'>[],
  states: StateNames,
  dropped: readonly string[],
): void {
  const kinds = new Map(states)
  for (const handle of handles) {
    for (const [name, { kind }] of Object.entries(handle.descriptors)) {
      if (dropped.includes(name)) continue
      const now = kinds.get(name)
      if (now === kind) continue
      throw new TerminalError(
        now === undefined
          ? `the checkpoint holds state "${name}" (${kind}), which the job does not declare any more: declare it, or name it as dropped`
          : `state "${name}" was ${kind} in the checkpoint and is ${now} now: use another name`,
        { code: 'SLUICE_STATE_CHANGED' },
      )
    }
  }
}
