/** The smallest source and sink that a graph can be built of; nothing runs them here. */
import type { Guarantee, Sink, Source } from '../../engine/index.ts'

interface Split {
  readonly id: string
}

const unused = (): never => {
  throw new Error('a graph is only built here')
}

export function source<T>(guarantee: Guarantee = 'exactly-once'): Source<T, Split, number> {
  return { kind: 'numbers', guarantee, validate: unused, discover: unused, createReader: unused }
}

export function sink<T>(guarantee: Guarantee = 'exactly-once', place: () => string = () => 'here'): Sink<T, never> {
  return {
    kind: 'nowhere',
    guarantee,
    committableCodec: { version: 1, encode: unused, decode: unused },
    validate: unused,
    scope: () => new TextEncoder().encode(place()),
    createWriter: unused,
    createCommitter: unused,
  }
}
