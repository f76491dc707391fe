/**
 * What a user hands to an operator, checked when the graph is built: a job file may be plain JavaScript, or written against another
 * version of a connector. A mistake is told with the operator's id, not by a crash at the first record.
 */
import { TerminalError } from '../api/index.ts'
import type { ConnectNode, OperatorStateDescriptor, ProcessNode, StateDescriptor } from './job-graph.ts'
import { MAX_PARALLELISM } from './plan.ts'

/** A state name is part of what a checkpoint holds. */
const STATE_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,99}$/
/** Part of the id of the node that reads it. */
const SIDE_NAME = /^[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*$/

/** What may be declared where, and how. */
const KEYED = { kinds: ['value', 'list', 'map'], cure: 'declare it with value(() => …), list() or map()' }
const OPERATOR = {
  kinds: ['split-list', 'union-list'],
  cure: 'without a keyBy, declare it with splitList() or unionList()',
}
const BROADCAST = { kinds: ['broadcast-map'], cure: 'declare it with broadcastMap()' }

/** What a timer of Node can hold. */
const MAX_DISCOVER_EVERY_MS = 2_147_483_647

type Call = (value: unknown, context: unknown) => void

/** An id that was forgotten moves all that comes after it one place to the left. */
function checkId(kind: string, id: unknown): void {
  if (typeof id === 'string') return
  throw new TerminalError(`a ${kind} has ${nameOf(id)} in the place of its id: name it, as in .${kind}('some-id', …)`, {
    code: 'SLUICE_ID_MISSING',
  })
}

export function checkFunction(kind: string, id: string, given: unknown): void {
  checkId(kind, id)
  if (typeof given !== 'function')
    throw new TerminalError(`${kind} "${id}" needs a function, not ${nameOf(given)}`, {
      code: 'SLUICE_FUNCTION_MISSING',
    })
}

export function checkSource(id: string, source: unknown): void {
  checkMembers('source', id, source, ['validate', 'discover', 'createReader'])
  const everyMs = memberOf(source, 'discoverEveryMs')
  if (everyMs === undefined || (typeof everyMs === 'number' && everyMs >= 1 && everyMs <= MAX_DISCOVER_EVERY_MS)) return
  throw new TerminalError(
    `source "${id}": discoverEveryMs is ${show(everyMs)}; it must be from 1 to ${MAX_DISCOVER_EVERY_MS} milliseconds`,
    { code: 'SLUICE_CONNECTOR_INVALID' },
  )
}

/** What a source made for one subtask. @throws TerminalError */
export function checkReader(id: string, source: { readonly discoverEveryMs?: number }, reader: unknown): void {
  if (source.discoverEveryMs === undefined) return
  if (isObject(reader) && typeof memberOf(reader, 'addSplits') === 'function') return
  throw new TerminalError(`source "${id}" has discoverEveryMs, but its reader has no addSplits`, {
    code: 'SLUICE_CONNECTOR_INVALID',
  })
}

export function checkSink(id: string, sink: unknown): void {
  checkMembers('sink', id, sink, ['validate', 'scope', 'createWriter', 'createCommitter'])
}

/** Subtasks are numbered, and share the key groups: there are never more of them. `what` names the one who asks. */
export function checkParallelism(what: string, parallelism: unknown): void {
  const isWhole = typeof parallelism === 'number' && Number.isInteger(parallelism)
  if (isWhole && parallelism >= 1 && parallelism <= MAX_PARALLELISM) return
  throw new TerminalError(
    `${what}: parallelism is ${show(parallelism)}; it must be a whole number from 1 to ${MAX_PARALLELISM}`,
    { code: 'SLUICE_OPERATOR_OPTION_INVALID' },
  )
}

/** The options as a part of a node. */
export function checkOptions(kind: string, id: string, options: unknown): { readonly parallelism?: number } {
  if (options === undefined) return {}
  if (!isObject(options))
    throw new TerminalError(`options of ${kind} "${id}" are ${nameOf(options)}, not an object`, {
      code: 'SLUICE_OPERATOR_OPTION_INVALID',
    })
  const unknown = Object.keys(options).find((name) => name !== 'parallelism')
  if (unknown !== undefined) {
    throw new TerminalError(`option ${unknown} of ${kind} "${id}" is unknown; known is parallelism`, {
      code: 'SLUICE_OPERATOR_OPTION_INVALID',
    })
  }
  const parallelism: unknown = 'parallelism' in options ? options.parallelism : undefined
  if (parallelism === undefined) return {}
  checkParallelism(`${kind} "${id}"`, parallelism)
  return { parallelism: parallelism as number }
}

export function checkSideOutput(id: string, output: unknown): void {
  const name: unknown = isObject(output) && 'name' in output ? output.name : undefined
  if (typeof name === 'string' && SIDE_NAME.test(name)) return
  const given = name === undefined ? nameOf(output) : `named ${show(name)}`
  throw new TerminalError(
    `a side output behind "${id}" is ${given}: make it with sideOutput('name'), of letters, digits, "_" and inner "-"`,
    { code: 'SLUICE_SIDE_OUTPUT_INVALID' },
  )
}

/** @returns what of a node comes from it */
export function checkProcess(
  id: string,
  process: unknown,
  isKeyed: boolean,
): Pick<ProcessNode, 'state' | 'operatorState' | 'onRecord' | 'onEnd'> {
  checkMembers('process', id, process, ['onRecord'])
  return {
    state: isKeyed ? checkState<StateDescriptor>('process', id, memberOf(process, 'state'), KEYED) : {},
    operatorState: isKeyed ? {} : checkState('process', id, memberOf(process, 'state'), OPERATOR),
    onRecord: callOf(process, 'onRecord'),
    ...checkEnd('process', id, process),
  }
}

/** @returns what of a node comes from it */
export function checkConnect(
  id: string,
  process: unknown,
  { isKeyed, isBroadcast }: { readonly isKeyed: boolean; readonly isBroadcast: boolean },
): Pick<ConnectNode, 'state' | 'operatorState' | 'onFirst' | 'onSecond' | 'onEnd'> {
  const [first, second] = isBroadcast ? (['onRecord', 'onBroadcast'] as const) : (['onFirst', 'onSecond'] as const)
  checkMembers('connect', id, process, [first, second])
  const state = memberOf(process, 'state')
  if (isBroadcast && !isKeyed && state !== undefined) {
    throw new TerminalError(`connect "${id}" has state besides broadcast state; key its first input, or leave it out`, {
      code: 'SLUICE_STATE_DECLARATION_INVALID',
    })
  }
  return {
    state: isKeyed ? checkState<StateDescriptor>('connect', id, state, KEYED) : {},
    operatorState: isBroadcast
      ? checkBroadcast(id, memberOf(process, 'broadcast'))
      : isKeyed
        ? {}
        : checkState('connect', id, state, OPERATOR),
    onFirst: callOf(process, first),
    onSecond: callOf(process, second),
    ...checkEnd('connect', id, process),
  }
}

/** By it the operator is known to have a broadcast input. */
function checkBroadcast(id: string, given: unknown): Readonly<Record<string, OperatorStateDescriptor>> {
  const broadcast = checkState<OperatorStateDescriptor>('connect', id, given, BROADCAST)
  if (Object.keys(broadcast).length > 0) return broadcast
  throw new TerminalError(`connect "${id}" has no broadcast state: declare it as broadcast: { name: broadcastMap() }`, {
    code: 'SLUICE_STATE_DECLARATION_INVALID',
  })
}

function checkState<Descriptor = OperatorStateDescriptor>(
  kind: string,
  id: string,
  state: unknown,
  { kinds, cure }: { readonly kinds: readonly unknown[]; readonly cure: string },
): Readonly<Record<string, Descriptor>> {
  if (state === undefined) return {}
  if (!isObject(state))
    throw new TerminalError(`state of ${kind} "${id}" is ${nameOf(state)}, not an object of state`, {
      code: 'SLUICE_STATE_DECLARATION_INVALID',
    })
  for (const [name, descriptor] of Object.entries(state) as readonly (readonly [string, unknown])[]) {
    if (!STATE_NAME.test(name)) {
      throw new TerminalError(`state ${JSON.stringify(name)} of ${kind} "${id}": use letters, digits, "_" and "-"`, {
        code: 'SLUICE_STATE_DECLARATION_INVALID',
      })
    }
    const found = isObject(descriptor) ? memberOf(descriptor, 'kind') : undefined
    if (found !== undefined && kinds.includes(found)) continue
    const what = typeof found === 'string' ? `a ${found}` : nameOf(descriptor)
    throw new TerminalError(`state "${name}" of ${kind} "${id}" is ${what}: ${cure}`, {
      code: 'SLUICE_STATE_DECLARATION_INVALID',
    })
  }
  return state as Readonly<Record<string, Descriptor>>
}

function checkEnd(kind: string, id: string, process: object): { readonly onEnd?: (context: unknown) => void } {
  const onEnd = memberOf(process, 'onEnd')
  if (onEnd === undefined) return {}
  checkFunction(`onEnd of ${kind}`, id, onEnd)
  const end = onEnd as (context: unknown) => void
  return { onEnd: (context) => end.call(process, context) }
}

/** What it returns is passed on: a promise is refused at the first record. */
function callOf(owner: object, name: string): Call {
  const call = memberOf(owner, name) as Call
  return (value, context) => call.call(owner, value, context)
}

function checkMembers(kind: string, id: string, given: unknown, members: readonly string[]): asserts given is object {
  checkId(kind, id)
  if (!isObject(given))
    throw new TerminalError(
      `${kind} "${id}" is ${nameOf(given)}, not a ${kind}${typeof given === 'function' ? ': call it, as in name({ … })' : ''}`,
      {
        code: 'SLUICE_CONNECTOR_INVALID',
      },
    )
  const missing = members.filter((name) => typeof memberOf(given, name) !== 'function')
  if (missing.length > 0)
    throw new TerminalError(`${kind} "${id}" is no ${kind}: it lacks ${missing.join(', ')}`, {
      code: 'SLUICE_CONNECTOR_INVALID',
    })
}

function memberOf(owner: object, name: string): unknown {
  return (owner as Readonly<Record<string, unknown>>)[name]
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === undefined) return 'undefined'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
