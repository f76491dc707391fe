/**
 * Freezes what state hands out, so that a test finds the function that changes it in place. Bytes cannot be frozen and are left.
 */

export function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value
  if (value instanceof Map) {
    refuseCalls(value, ['set', 'delete', 'clear'])
    for (const [key, member] of value) {
      deepFreeze(key)
      deepFreeze(member)
    }
  } else if (value instanceof Set) {
    refuseCalls(value, ['add', 'delete', 'clear'])
    for (const member of value) deepFreeze(member)
  }
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
  return value
}

function refuseCalls(value: object, names: readonly string[]): void {
  for (const name of names) {
    Object.defineProperty(value, name, {
      value: () => {
        throw new TypeError(
          `state handed this ${value.constructor.name} out: ${name}() would change it in place; set a new one`,
        )
      },
    })
  }
}
