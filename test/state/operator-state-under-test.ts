/** Operator state under test: all three kinds, blobs in memory, and what a whole operator stores and restores. */
import { createHash } from 'node:crypto'
import { CorruptCheckpointError } from '../../engine/api/index.ts'
import type { BlobReference, OperatorSnapshot, OperatorStateHandle } from '../../engine/checkpoint/manifest.ts'
import type { ListState, MapState } from '../../engine/graph/descriptors.ts'
import type { OperatorStateDescriptor } from '../../engine/graph/job-graph.ts'
import {
  OperatorStateBackend,
  restoreOperatorState,
  storeOperatorState,
  type OperatorStateCut,
} from '../../engine/state/operator-state.ts'

export type Descriptors = Readonly<Record<string, OperatorStateDescriptor>>
export const all: Descriptors = {
  split: { kind: 'split-list' },
  union: { kind: 'union-list' },
  rules: { kind: 'broadcast-map' },
}

export class MemoryBlobs {
  readonly held = new Map<string, Uint8Array>()
  #puts = 0
  readonly put = (bytes: Uint8Array): Promise<BlobReference> => {
    this.#puts += 1
    const key = `blob-${this.#puts}`
    this.held.set(key, bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return Promise.resolve({ key, sizeBytes: bytes.byteLength, sha256 })
  }
  readonly get = ({ key }: BlobReference): Promise<Uint8Array> => {
    const bytes = this.held.get(key)
    return bytes === undefined
      ? Promise.reject(new CorruptCheckpointError(`${key} is missing`))
      : Promise.resolve(bytes)
  }
}

export const listOf = (backend: OperatorStateBackend, name = 'split') => backend.handles[name] as ListState<unknown>
export const mapOf = (backend: OperatorStateBackend, name = 'rules') =>
  backend.handles[name] as MapState<unknown, unknown>
export const subtasksOf = (parallelism: number) =>
  Array.from({ length: parallelism }, (_, subtask) => ({ subtask, parallelism }))

export const blobs = new MemoryBlobs()

export function partOf(operatorState: OperatorStateHandle, subtask = 0, parallelism = 1): OperatorSnapshot {
  return { operator: 'match', subtask, parallelism, ended: false, operatorState }
}
export async function snapshot(backends: readonly OperatorStateBackend[]): Promise<readonly OperatorSnapshot[]> {
  return Promise.all(
    backends.map(async (backend, subtask) =>
      partOf(await storeOperatorState(backend.cut(subtask), blobs.put), subtask, backends.length),
    ),
  )
}
export function restoreOne(parts: readonly OperatorSnapshot[], me = { subtask: 0, parallelism: 1 }, descriptors = all) {
  const backend = new OperatorStateBackend(descriptors)
  return restoreOperatorState(backend, { operator: 'match', parts, me, getBlob: blobs.get }).then(() => backend)
}
export function restore(
  parts: readonly OperatorSnapshot[],
  parallelism: number,
): Promise<readonly OperatorStateBackend[]> {
  return Promise.all(subtasksOf(parallelism).map((me) => restoreOne(parts, me)))
}
/** What a checkpoint made of this cut holds. */
export async function heldBy(cut: OperatorStateCut): Promise<OperatorStateBackend> {
  return restoreOne([partOf(await storeOperatorState(cut, blobs.put))])
}
export const contents = (backend: OperatorStateBackend) => ({
  split: listOf(backend).get(),
  union: listOf(backend, 'union').get(),
  rules: [...mapOf(backend).entries()],
})
