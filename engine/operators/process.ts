/**
 * `process`: a user's function with keyed state. Its context is one object for all records: state, key and timestamp are those of the
 * record at hand, and `emit` works until the function returns.
 */
import { NO_TIMESTAMP } from '../api/index.ts'
import type { ProcessNode } from '../graph/job-graph.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

export type KeyedPush = (value: unknown, key: unknown, timestamp: number) => void

export interface ProcessOperator {
  readonly push: KeyedPush
  readonly end: () => void
}

export function processOperator(
  node: ProcessNode,
  backend: KeyedStateBackend,
  { next, guard }: { readonly next: Push; readonly guard: ChainGuard },
): ProcessOperator {
  const { id, onRecord, onEnd } = node
  let isOpen = false
  const emit = (output: unknown): void => {
    if (isOpen) next(output, context.timestamp)
    else guard.misused(id, 'it emitted after its function had returned; emit before returning')
  }
  const context = { state: backend.handles, key: undefined as unknown, timestamp: NO_TIMESTAMP, emit }
  const push: KeyedPush = (value, key, timestamp) => {
    context.key = key
    context.timestamp = timestamp
    isOpen = true
    try {
      backend.setCurrentKey(key)
      const returned: unknown = onRecord(value, context)
      if (returned !== undefined) guard.refusePromise(id, returned)
    } catch (error) {
      throw guard.failed(id, error)
    } finally {
      isOpen = false
    }
  }
  const end = (): void => {
    context.timestamp = NO_TIMESTAMP
    isOpen = true
    try {
      // No key is selected at the end: the function sees no state.
      const returned: unknown = onEnd?.({ emit })
      if (returned !== undefined) guard.refusePromise(id, returned)
    } catch (error) {
      throw guard.failed(id, error)
    } finally {
      isOpen = false
    }
  }
  return { push, end }
}
