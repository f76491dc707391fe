/**
 * `process`: a user's function with state, of the key of each record or, without a key, of the subtask.
 */
import type { ProcessNode } from '../graph/job-graph.ts'
import { endFunction, functionOf, type KeyedPush, type OperatorParts } from './user-function.ts'

export type { KeyedPush, OperatorParts } from './user-function.ts'

export interface ProcessOperator {
  readonly push: KeyedPush
  readonly end: () => void
}

export function processOperator(node: ProcessNode, parts: OperatorParts): ProcessOperator {
  const { id, onRecord, onEnd } = node
  const members = { state: parts.keyed?.handles ?? parts.operatorState }
  return { push: functionOf({ id, call: onRecord, members }, parts), end: endFunction(id, onEnd, parts) }
}
