/**
 * The fluent, typed way to write a job's graph: each call adds a node and returns the stream behind it. A stream may be read by several
 * operators; each gets every record.
 */
import {
  parseOperatorId,
  TerminalError,
  type OperatorId,
  type Sink,
  type Source,
  type SplitLike,
} from '../api/index.ts'
import { checkFunction, checkProcess, checkSink, checkSource } from './check-operator.ts'
import type { StateOf } from './descriptors.ts'
import type { JobNode, StateDescriptor } from './job-graph.ts'

type Descriptors = Readonly<Record<string, StateDescriptor>>

export interface ProcessContext<K, Out, S extends Descriptors> {
  readonly state: { readonly [Name in keyof S]: StateOf<S[Name]> }
  readonly key: K
  /** Event time of the record, milliseconds since 1970; NO_TIMESTAMP when it has none. */
  readonly timestamp: number
  /** Sends a record on; only before the function returns. */
  readonly emit: (output: Out) => void
}

export interface ProcessFunction<In, K, Out, S extends Descriptors> {
  readonly state?: S
  /** `emits: type<Total>()` types the stream behind; without it, it is a stream of unknown. */
  readonly emits?: Type<Out>
  /** Once per record, in order; synchronous. A throw ends the attempt, and the restart strategy decides. */
  onRecord(record: In, context: ProcessContext<K, Out, S>): void
  /** Once, when a bounded input has ended. */
  onEnd?(context: Pick<ProcessContext<K, Out, S>, 'emit'>): void
}

declare const typed: unique symbol
/** Carries a type where none can be inferred. */
export interface Type<T> {
  readonly [typed]?: (value: T) => T
}

export function type<T>(): Type<T> {
  return {}
}

export interface Stream<T> {
  map<Out>(id: string, map: (record: T, timestamp: number) => Out): Stream<Out>
  filter<Kept extends T>(id: string, filter: (record: T, timestamp: number) => record is Kept): Stream<Kept>
  filter(id: string, filter: (record: T, timestamp: number) => boolean): Stream<T>
  flatMap<Out>(id: string, flatMap: (record: T, timestamp: number) => Iterable<Out>): Stream<Out>
  /** Routes by key: string, number, boolean, bigint or a tuple of these. The selector must be pure: the same record, the same key. */
  keyBy<const K>(key: (record: T) => K): KeyedStream<T, K>
  /** Ends this branch; other operators may read the same stream. */
  sink<C, W>(id: string, sink: Sink<T, C, W>): void
}

export interface KeyedStream<T, K> {
  process<Out, const S extends Descriptors = Readonly<Record<never, never>>>(
    id: string,
    process: ProcessFunction<T, K, Out, S>,
  ): Stream<Out>
}

export interface Flow {
  source<T, Split extends SplitLike, Position>(id: string, source: Source<T, Split, Position>): Stream<T>
}

type PerRecord<Out> = (value: unknown, timestamp: number) => Out

/** What a flow has gathered, in the order of declaration. */
export class FlowBuilder implements Flow {
  readonly nodes: JobNode[] = []
  #isSealed = false

  source<T, Split extends SplitLike, Position>(id: string, source: Source<T, Split, Position>): Stream<T> {
    const other = this.nodes.find((node) => node.kind === 'source')
    if (other !== undefined) {
      throw new TerminalError(
        `source "${id}": the job already has source "${other.id}"; a job has one source for now, so make it two jobs`,
      )
    }
    checkSource(id, source)
    return this.#add<T>({
      kind: 'source',
      id: this.#id('source', id),
      source: source as Source<unknown, SplitLike, unknown>,
    })
  }

  /** `build` has returned: what is added from now on would be missing in the plan. */
  seal(): void {
    this.#isSealed = true
  }

  #add<T>(node: JobNode): Stream<T> {
    this.#push(node)
    return this.#stream<T>(node.id)
  }

  #push(node: JobNode): void {
    if (this.#isSealed) throw new TerminalError(`operator "${node.id}" is added after build has returned`)
    this.nodes.push(node)
  }

  #id(kind: JobNode['kind'], id: string): OperatorId {
    const parsed = parseOperatorId(id)
    const other = this.nodes.find((node) => node.id === parsed)
    if (other === undefined) return parsed
    throw new TerminalError(
      `${kind} "${id}" has the id of ${other.kind} "${other.id}"; ids must be unique, as state and positions are found by them`,
    )
  }

  #stream<T>(input: OperatorId): Stream<T> {
    return {
      map: <Out>(id: string, map: (record: T, timestamp: number) => Out) => {
        checkFunction('map', id, map)
        return this.#add<Out>({ kind: 'map', id: this.#id('map', id), input, map: map as PerRecord<unknown> })
      },
      filter: <Kept extends T>(id: string, filter: (record: T, timestamp: number) => boolean) => {
        checkFunction('filter', id, filter)
        const checked = filter as PerRecord<boolean>
        return this.#add<Kept>({ kind: 'filter', id: this.#id('filter', id), input, filter: checked })
      },
      flatMap: <Out>(id: string, flatMap: (record: T, timestamp: number) => Iterable<Out>) => {
        checkFunction('flatMap', id, flatMap)
        const checked = flatMap as PerRecord<Iterable<unknown>>
        return this.#add<Out>({ kind: 'flatMap', id: this.#id('flatMap', id), input, flatMap: checked })
      },
      keyBy: <const K>(key: (record: T) => K) => this.#keyBy<T, K>(input, key),
      sink: (id, sink) => {
        checkSink(id, sink)
        const erased = sink as unknown as Sink<unknown, unknown, unknown>
        this.#push({ kind: 'sink', id: this.#id('sink', id), input, sink: erased })
      },
    }
  }

  #keyBy<T, K>(input: OperatorId, key: (record: T) => K): KeyedStream<T, K> {
    checkFunction('keyBy behind', input, key)
    const count = this.nodes.filter((node) => node.kind === 'keyBy' && node.input === input).length
    const keyed = this.#id('keyBy', `${input}.key-${count + 1}`)
    this.#push({ kind: 'keyBy', id: keyed, input, key: key as (value: unknown) => unknown })
    return {
      process: <Out, const S extends Descriptors = Readonly<Record<never, never>>>(
        id: string,
        process: ProcessFunction<T, K, Out, S>,
      ) => {
        checkProcess(id, process)
        return this.#add<Out>({
          kind: 'process',
          id: this.#id('process', id),
          input: keyed,
          state: process.state ?? {},
          onRecord: (value, context) => process.onRecord(value as T, context as ProcessContext<K, Out, S>),
          ...(process.onEnd === undefined
            ? {}
            : { onEnd: (context: unknown) => process.onEnd?.(context as ProcessContext<K, Out, S>) }),
        })
      },
    }
  }
}
