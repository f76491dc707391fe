/**
 * A user's function of a process or a connect, as a synchronous call. Each has one context object for all records: key, timestamp and
 * state are those of the record at hand, and `emit` works until the function returns.
 */
import { NO_TIMESTAMP } from '../api/index.ts'
import type { KeyedStateBackend } from '../state/keyed-state-backend.ts'
import type { ChainGuard } from './chain-guard.ts'
import type { Push } from './push.ts'

/** An operator without a key does not look at it. */
export type KeyedPush = (value: unknown, key: unknown, timestamp: number) => void

/** What an operator with functions of a user's is made of, besides its node. */
export interface OperatorParts {
  /** Given when the (first) input is a `keyBy`, even where the node declares no state: it is what says that there is a key. */
  readonly keyed: KeyedStateBackend | undefined
  /** Handles of operator state by name: each of the node's. */
  readonly operatorState: Readonly<Record<string, unknown>>
  readonly next: Push
  /** Undefined: nobody reads it. Asked for when records go there, not before; the same answer each time. */
  side(output: string): Push | undefined
  readonly guard: ChainGuard
}

export interface UserFunction {
  /** The operator's. */
  readonly id: string
  readonly call: (value: unknown, context: unknown) => unknown
  /** What its context shows besides key, timestamp, `emit` and `emitTo`. */
  readonly members: Readonly<Record<string, unknown>>
}

/** With a key where there is one. */
export function functionOf(called: UserFunction, parts: OperatorParts): KeyedPush {
  return parts.keyed === undefined ? plainFunction(called, parts) : keyedFunction(called, parts.keyed, parts)
}

function keyedFunction({ id, call, members }: UserFunction, keyed: KeyedStateBackend, parts: OperatorParts): KeyedPush {
  const { guard } = parts
  const gate: Gate = { isOpen: false, timestamp: NO_TIMESTAMP }
  const context = { ...members, key: undefined as unknown, timestamp: NO_TIMESTAMP, ...emittersOf(id, gate, parts) }
  return (value, key, timestamp) => {
    context.key = key
    context.timestamp = timestamp
    gate.timestamp = timestamp
    gate.isOpen = true
    try {
      keyed.setCurrentKey(key)
      const returned = call(value, context)
      if (returned !== undefined) guard.refusePromise(id, returned)
    } catch (error) {
      throw guard.failed(id, error)
    } finally {
      gate.isOpen = false
    }
  }
}

/** Without a key, in the context too. */
export function plainFunction({ id, call, members }: UserFunction, parts: OperatorParts): KeyedPush {
  const { guard } = parts
  const gate: Gate = { isOpen: false, timestamp: NO_TIMESTAMP }
  const context = { ...members, timestamp: NO_TIMESTAMP, ...emittersOf(id, gate, parts) }
  return (value, _, timestamp) => {
    context.timestamp = timestamp
    gate.timestamp = timestamp
    gate.isOpen = true
    try {
      const returned = call(value, context)
      if (returned !== undefined) guard.refusePromise(id, returned)
    } catch (error) {
      throw guard.failed(id, error)
    } finally {
      gate.isOpen = false
    }
  }
}

/** It sees no state: no key is selected, and it runs in one subtask of many. */
export function endFunction(
  id: string,
  call: ((context: unknown) => unknown) | undefined,
  parts: OperatorParts,
): () => void {
  const push = plainFunction({ id, call: (_, context) => call?.(context), members: {} }, parts)
  return () => push(undefined, undefined, NO_TIMESTAMP)
}

/** Of one function: open while it runs. */
interface Gate {
  isOpen: boolean
  timestamp: number
}

interface Emitters {
  readonly emit: (output: unknown) => void
  readonly emitTo: (output: { readonly name: string }, value: unknown) => void
}

function emittersOf(id: string, gate: Gate, parts: OperatorParts): Emitters {
  const { next, guard } = parts
  const emit = (output: unknown): void => {
    if (gate.isOpen) next(output, gate.timestamp)
    else guard.emittedLate(id)
  }
  const emitTo = ({ name }: { readonly name: string }, value: unknown): void => {
    if (gate.isOpen) parts.side(name)?.(value, gate.timestamp)
    else guard.emittedLate(id)
  }
  return { emit, emitTo }
}
