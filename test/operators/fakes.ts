/** What an operator is given in a test: pushes that note what comes, and lists and maps in memory as operator state. */
import type { ListState, MapState } from '../../engine/index.ts'
import type { StateDescriptor } from '../../engine/graph/job-graph.ts'
import { ChainGuard } from '../../engine/operators/chain-guard.ts'
import type { OperatorParts } from '../../engine/operators/user-function.ts'
import { createKeyedStateBackend } from '../../engine/state/keyed-state-backend.ts'

export class FakeParts implements OperatorParts {
  readonly keyed: OperatorParts['keyed']
  readonly operatorState: Readonly<Record<string, unknown>>
  /** `value@timestamp`, of side outputs with their name before it. */
  readonly sent: string[] = []
  readonly misuses: Error[] = []
  readonly guard = new ChainGuard((failure) => this.misuses.push(failure))
  readonly #read: readonly string[]

  constructor({ state, operatorState = {}, read = [] }: FakeOptions) {
    this.keyed = state === undefined ? undefined : createKeyedStateBackend({ descriptors: state, maxParallelism: 128 })
    this.operatorState = operatorState
    this.#read = read
  }

  readonly next = (value: unknown, timestamp: number): void => {
    this.sent.push(`${String(value)}@${timestamp}`)
  }

  side(output: string): OperatorParts['next'] | undefined {
    if (!this.#read.includes(output)) return undefined
    return (value, timestamp) => this.sent.push(`${output}: ${String(value)}@${timestamp}`)
  }
}

interface FakeOptions {
  /** There is a key. */
  readonly state?: Readonly<Record<string, StateDescriptor>>
  readonly operatorState?: Readonly<Record<string, unknown>>
  /** Side outputs that somebody reads. */
  readonly read?: readonly string[]
}

export function memoryList(): ListState<unknown> {
  let values: readonly unknown[] = []
  return {
    get: () => values,
    add: (value) => void (values = [...values, value]),
    set: (given) => void (values = given),
    clear: () => void (values = []),
  }
}

export function memoryMap(): MapState<unknown, unknown> {
  const values = new Map<unknown, unknown>()
  return {
    get: (key) => values.get(key),
    has: (key) => values.has(key),
    set: (key, value) => void values.set(key, value),
    delete: (key) => void values.delete(key),
    entries: () => values.entries(),
    clear: () => values.clear(),
  }
}

/** `kind: message` of what a push throws, which the guard must remember. */
export function failureOf({ guard }: FakeParts, run: () => void): string {
  try {
    run()
  } catch (error) {
    if (error !== guard.failure || !(error instanceof Error)) throw error
    return `${error.name}: ${error.message}`
  }
  throw new Error('it did not fail')
}
