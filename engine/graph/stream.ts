/**
 * The fluent, typed way to write a job's graph: each call adds a node and returns the stream behind it.
 */
import {
  parseOperatorId,
  TerminalError,
  type Guarantee,
  type OperatorId,
  type Sink,
  type Source,
  type SplitLike,
} from '../api/index.ts'
import type { StateOf } from './descriptors.ts'
import type { JobNode, StateDescriptor } from './job-graph.ts'

export interface ProcessContext<K, Out, S extends Readonly<Record<string, StateDescriptor>>> {
  readonly state: { readonly [Name in keyof S]: StateOf<S[Name]> }
  readonly key: K
  /** Event time of the record, milliseconds since 1970; NO_TIMESTAMP when it has none. */
  readonly timestamp: number
  /** Sends a record on; only before the function returns. */
  emit(output: Out): void
}

export interface ProcessFunction<In, K, Out, S extends Readonly<Record<string, StateDescriptor>>> {
  readonly state: S
  /** Once per record, in order; synchronous. A throw ends the attempt, and the restart strategy decides. */
  onRecord(record: In, context: ProcessContext<K, Out, S>): void
  /** Once, when a bounded input has ended. */
  onEnd?(context: Pick<ProcessContext<K, Out, S>, 'emit'>): void
}

export interface Stream<T> {
  map<Out>(id: string, map: (record: T, timestamp: number) => Out): Stream<Out>
  filter(id: string, filter: (record: T, timestamp: number) => boolean): Stream<T>
  flatMap<Out>(id: string, flatMap: (record: T, timestamp: number) => Iterable<Out>): Stream<Out>
  /** Routes by key. The selector must be pure: the same record, the same key. */
  keyBy<K>(key: (record: T) => K): KeyedStream<T, K>
  /** Ends the stream; other operators may branch off the same stream. */
  sink<C, W>(id: string, sink: Sink<T, C, W>): void
}

export interface KeyedStream<T, K> {
  process<Out, const S extends Readonly<Record<string, StateDescriptor>>>(
    id: string,
    process: ProcessFunction<T, K, Out, S>,
  ): Stream<Out>
}

export interface Flow {
  source<T, Split extends SplitLike, Position>(id: string, source: Source<T, Split, Position>): Stream<T>
}

/** What a flow has gathered, in the order of declaration. */
export class FlowBuilder implements Flow {
  readonly nodes: JobNode[] = []

  source<T, Split extends SplitLike, Position>(id: string, source: Source<T, Split, Position>): Stream<T> {
    const other = this.nodes.find((node) => node.kind === 'source')
    if (other !== undefined) {
      throw new TerminalError(
        `source "${id}": the job already has source "${other.id}"; one source per job is supported`,
      )
    }
    return this.#add<T>({ kind: 'source', id: this.#id(id), source: source as Source<unknown, SplitLike, unknown> })
  }

  #add<T>(node: JobNode): Stream<T> {
    this.nodes.push(node)
    return this.#stream<T>(node.id)
  }

  #id(id: string): OperatorId {
    const parsed = parseOperatorId(id)
    const other = this.nodes.find((node) => node.id === parsed)
    if (other === undefined) return parsed
    throw new TerminalError(
      `operator id "${id}" is used twice (first for a ${other.kind}); ids must be unique, since state is found by them`,
    )
  }

  #stream<T>(input: OperatorId): Stream<T> {
    return {
      map: <Out>(id: string, map: (record: T, timestamp: number) => Out) =>
        this.#add<Out>({
          kind: 'map',
          id: this.#id(id),
          input,
          map: map as (value: unknown, timestamp: number) => unknown,
        }),
      filter: (id, filter) =>
        this.#add<T>({
          kind: 'filter',
          id: this.#id(id),
          input,
          filter: filter as (value: unknown, timestamp: number) => boolean,
        }),
      flatMap: <Out>(id: string, flatMap: (record: T, timestamp: number) => Iterable<Out>) =>
        this.#add<Out>({
          kind: 'flatMap',
          id: this.#id(id),
          input,
          flatMap: flatMap as (value: unknown, timestamp: number) => Iterable<unknown>,
        }),
      keyBy: <K>(key: (record: T) => K) => this.#keyBy<T, K>(input, key),
      sink: (id, sink) => {
        this.nodes.push({
          kind: 'sink',
          id: this.#id(id),
          input,
          sink: sink as unknown as Sink<unknown, unknown, unknown>,
        })
      },
    }
  }

  #keyBy<T, K>(input: OperatorId, key: (record: T) => K): KeyedStream<T, K> {
    const count = this.nodes.filter((node) => node.kind === 'keyBy' && node.input === input).length
    const keyed = this.#id(`${input}.key-${count + 1}`)
    this.nodes.push({ kind: 'keyBy', id: keyed, input, key: key as (value: unknown) => unknown })
    return {
      process: <Out, const S extends Readonly<Record<string, StateDescriptor>>>(
        id: string,
        process: ProcessFunction<T, K, Out, S>,
      ) => {
        const { onEnd } = process
        return this.#add<Out>({
          kind: 'process',
          id: this.#id(id),
          input: keyed,
          state: process.state,
          onRecord: (value, context) => process.onRecord(value as T, context as ProcessContext<K, Out, S>),
          ...(onEnd === undefined
            ? {}
            : { onEnd: (context: unknown) => onEnd.call(process, context as ProcessContext<K, Out, S>) }),
        })
      },
    }
  }
}

/** Weakest first. */
const ORDER: readonly Guarantee[] = ['at-least-once', 'idempotent', 'exactly-once']

export function weaker(a: Guarantee, b: Guarantee): Guarantee {
  return ORDER.indexOf(a) <= ORDER.indexOf(b) ? a : b
}
