/**
 * What may be kept in state: what the codec brings back as it was. Anything else is refused by name when it is encoded, instead of
 * coming back as something else on another day.
 */
import { TerminalError } from '../api/index.ts'

const DEEPEST = 200
const CURE =
  'keep plain objects, arrays, strings, numbers, booleans, null, undefined, bigint, Date, Map, Set and Uint8Array'

/** @throws TerminalError naming the path to what cannot be kept */
export function assertStorable(value: unknown, path: string): void {
  switch (typeof value) {
    case 'number':
    case 'boolean':
    case 'undefined':
      return
    case 'string':
      if (value.isWellFormed()) return
      throw refused(path, 'a string with a lone surrogate')
    case 'bigint':
      return
    case 'object':
      if (value !== null) assertObject(value, path, 0)
      return
    default:
      throw refused(path, typeof value === 'function' ? 'a function' : `a ${typeof value}`)
  }
}

function assertMember(value: unknown, path: string, depth: number): void {
  if (typeof value === 'object' && value !== null) assertObject(value, path, depth + 1)
  else assertStorable(value, path)
}

function assertObject(value: object, path: string, depth: number): void {
  if (depth > DEEPEST) throw refused(path, `a value nested more than ${DEEPEST} deep (or one that holds itself)`)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    for (const name in value) {
      if (name === '__proto__') throw refused(path, 'a property named __proto__')
      const member: unknown = Reflect.get(value, name)
      // Most members are these: no call for them.
      if (typeof member === 'number' || typeof member === 'boolean') continue
      assertMember(member, `${path}.${name}`, depth)
    }
    return
  }
  if (prototype === Array.prototype) {
    for (const member of value as readonly unknown[]) assertMember(member, `${path}[]`, depth)
    return
  }
  if (prototype === Map.prototype) {
    for (const [key, member] of value as ReadonlyMap<unknown, unknown>) {
      assertMember(key, `${path}.keys()`, depth)
      assertMember(member, `${path}.get()`, depth)
    }
    return
  }
  if (prototype === Set.prototype) {
    for (const member of value as ReadonlySet<unknown>) assertMember(member, `${path}.values()`, depth)
    return
  }
  if (prototype === Date.prototype || prototype === Uint8Array.prototype || Buffer.isBuffer(value)) return
  const name: unknown = Reflect.get(value, 'constructor')
  throw refused(path, `an instance of ${typeof name === 'function' ? name.name : 'a class'}`)
}

function refused(path: string, what: string): TerminalError {
  return new TerminalError(`${path} holds ${what}, which state cannot keep: ${CURE}`, {
    code: 'SLUICE_STATE_VALUE_INVALID',
  })
}
