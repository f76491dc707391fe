/**
 * What a user hands to an operator, checked when the graph is built: a job file may be plain JavaScript, or written against another
 * version of a connector. A mistake is told with the operator's id, not by a crash at the first record.
 */
import { TerminalError } from '../api/index.ts'

/** A state name is part of what a checkpoint holds. */
const STATE_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,99}$/
const STATE_KINDS: readonly unknown[] = ['value', 'list', 'map']

export function checkFunction(kind: string, id: string, given: unknown): void {
  if (typeof given !== 'function') throw new TerminalError(`${kind} "${id}" needs a function, not ${nameOf(given)}`)
}

export function checkSource(id: string, source: unknown): void {
  checkMembers('source', id, source, ['validate', 'discover', 'createReader'])
}

export function checkSink(id: string, sink: unknown): void {
  checkMembers('sink', id, sink, ['validate', 'scope', 'createWriter', 'createCommitter'])
}

export function checkProcess(id: string, process: unknown): void {
  checkMembers('process', id, process, ['onRecord'])
  if ('onEnd' in process && process.onEnd !== undefined) checkFunction('onEnd of process', id, process.onEnd)
  const state: unknown = 'state' in process ? process.state : undefined
  if (state === undefined) return
  if (!isObject(state)) throw new TerminalError(`state of process "${id}" is ${nameOf(state)}, not an object of state`)
  for (const [name, descriptor] of Object.entries(state) as readonly (readonly [string, unknown])[]) {
    if (!STATE_NAME.test(name)) {
      throw new TerminalError(`state ${JSON.stringify(name)} of process "${id}": use letters, digits, "_" and "-"`)
    }
    if (isObject(descriptor) && 'kind' in descriptor && STATE_KINDS.includes(descriptor.kind)) continue
    throw new TerminalError(
      `state "${name}" of process "${id}" is ${nameOf(descriptor)}: declare it with value(() => …), list() or map()`,
    )
  }
}

function checkMembers(kind: string, id: string, given: unknown, members: readonly string[]): asserts given is object {
  if (!isObject(given)) throw new TerminalError(`${kind} "${id}" is ${nameOf(given)}; was its function not called?`)
  const owner = given as Readonly<Record<string, unknown>>
  const missing = members.filter((name) => typeof owner[name] !== 'function')
  if (missing.length > 0) throw new TerminalError(`${kind} "${id}" is no ${kind}: it lacks ${missing.join(', ')}`)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
