/**
 * The fluent, typed way to write a job's graph: each call adds a node and returns the stream behind it. A stream may be read by several
 * operators; each gets every record. These are the types; engine/graph/flow-builder.ts is behind them.
 *
 *   Stream          map, filter, flatMap, process, sink; union, rebalance; keyBy, broadcast, connect
 *   OperatorStream  the same, and side outputs: behind a source, a process, a connect
 *   KeyedStream     process and connect, with state per key
 *   BroadcastStream to be connected to
 */
import type { SideOutput, Sink, Source, SplitLike } from '../api/index.ts'
import type {
  BroadcastMapDescriptor,
  ReadonlyMapState,
  SplitListDescriptor,
  StateOf,
  UnionListDescriptor,
} from './descriptors.ts'
import type { StateDescriptor } from './job-graph.ts'

/** `value()`, `list()`, `map()` by name. */
export type KeyedState = Readonly<Record<string, StateDescriptor>>
/** `splitList()`, `unionList()` by name. */
export type OperatorState = Readonly<Record<string, SplitListDescriptor<unknown> | UnionListDescriptor<unknown>>>
/** `broadcastMap()` by name; at least one. */
export type BroadcastState = Readonly<Record<string, BroadcastMapDescriptor<unknown, unknown>>>

type NoState = Readonly<Record<never, never>>
type Handles<S> = { readonly [Name in keyof S]: StateOf<S[Name]> }
type ReadonlyHandles<B> = {
  readonly [Name in keyof B]: B[Name] extends BroadcastMapDescriptor<infer K, infer V> ? ReadonlyMapState<K, V> : never
}

declare const typed: unique symbol
/** Carries a type where none can be inferred. */
export interface Type<T> {
  /** Never there. */
  readonly [typed]?: (value: T) => T
}

/** `emits: type<Total>()`: what a function emits, where nothing else says it. Nothing at run time. */
export function type<T>(): Type<T> {
  return {}
}

/** The last argument of every operator. */
export interface OperatorOptions {
  /** Subtasks that it runs as, 1 to 128; left out: as many as the job says. */
  readonly parallelism?: number
}

/** What a function can do: send records on; only before it returns. */
export interface Emitter<Out> {
  /** Sends a record to the stream behind. It must not be changed any more. */
  readonly emit: (output: Out) => void
  /** Sends a record to a side output, which `.side(…)` reads; when nothing reads it, the record is dropped. */
  readonly emitTo: <S>(output: SideOutput<S>, value: NoInfer<S>) => void
}

/** One object for all records: take out of it what is needed later. */
export interface RecordContext<Out> extends Emitter<Out> {
  /** Event time of the record, milliseconds since 1970; NO_TIMESTAMP when it has none. What is emitted has the same. */
  readonly timestamp: number
}
/** With a key, and its state. */
export interface ProcessContext<K, Out, S extends KeyedState> extends RecordContext<Out> {
  readonly state: Handles<S>
  readonly key: K
}
/** Without a key: the state is that of the subtask. */
export interface OperatorContext<Out, S extends OperatorState> extends RecordContext<Out> {
  readonly state: Handles<S>
}
/** For a record of the broadcast stream: no key, no keyed state. */
export interface BroadcastContext<Out, B extends BroadcastState> extends RecordContext<Out> {
  readonly broadcast: Handles<B>
}
/** For a record beside a broadcast stream, whose state it can only read: every subtask must have the same. */
export interface BroadcastReader<B extends BroadcastState> {
  readonly broadcast: ReadonlyHandles<B>
}

interface Outcome<Out> {
  /** `emits: type<Total>()` types the stream behind; without it, it is a stream of unknown. */
  readonly emits?: Type<Out>
  /**
   * Once in the life of the job, in subtask 0, when all of its inputs have ended. It sees no state: no key is selected, and other subtasks
   * have operator state too.
   */
  onEnd?(context: Emitter<Out>): void
}

/**
 * Behind a `keyBy`. All functions of an operator are synchronous, and called once per record, in order; a throw ends the attempt, and the
 * restart strategy decides.
 */
export interface ProcessFunction<In, K, Out, S extends KeyedState> extends Outcome<Out> {
  readonly state?: S
  /** Each record, in order per key; state is that of the key. What it throws ends the attempt. */
  onRecord(record: In, context: ProcessContext<K, Out, S>): void
}

/** Without a key. */
export interface OperatorFunction<In, Out, S extends OperatorState> extends Outcome<Out> {
  readonly state?: S
  /** Each record, in order per subtask that sent it. What it throws ends the attempt. */
  onRecord(record: In, context: OperatorContext<Out, S>): void
}

/** Two streams without a key. Which of two records comes first is left open. */
export interface ConnectFunction<First, Second, Out, S extends OperatorState> extends Outcome<Out> {
  readonly state?: S
  /** Each record of the stream that `connect` was called on. What it throws ends the attempt. */
  onFirst(record: First, context: OperatorContext<Out, S>): void
  /** Each record of the stream that was given to `connect`. */
  onSecond(record: Second, context: OperatorContext<Out, S>): void
}

/** Two streams with the same key, which share its state. Which of two records comes first is left open. */
export interface KeyedConnectFunction<First, Second, K, Out, S extends KeyedState> extends Outcome<Out> {
  readonly state?: S
  /** Each record of the stream that `connect` was called on; state is that of the key. What it throws ends the attempt. */
  onFirst(record: First, context: ProcessContext<K, Out, S>): void
  /** Each record of the stream that was given to `connect`. */
  onSecond(record: Second, context: ProcessContext<K, Out, S>): void
}

/** A stream, and one that every subtask gets all of. Which of two records comes first is left open. */
export interface BroadcastFunction<In, Broadcast, Out, B extends BroadcastState> extends Outcome<Out> {
  readonly broadcast: B
  /** Each record of the stream that is not broadcast. What it throws ends the attempt. */
  onRecord(record: In, context: RecordContext<Out> & BroadcastReader<B>): void
  /**
   * In every subtask, for every record: what it emits is there once per subtask. It must make the same of the same records in all of them,
   * also when records of several senders come in another order.
   */
  onBroadcast(record: Broadcast, context: BroadcastContext<Out, B>): void
}

/** The same, where the first stream has a key. */
export interface KeyedBroadcastFunction<
  In,
  Broadcast,
  K,
  Out,
  S extends KeyedState,
  B extends BroadcastState,
> extends Outcome<Out> {
  readonly state?: S
  readonly broadcast: B
  /** Each record of the stream that is not broadcast; state is that of the key. What it throws ends the attempt. */
  onRecord(record: In, context: ProcessContext<K, Out, S> & BroadcastReader<B>): void
  /** As in {@link BroadcastFunction}. */
  onBroadcast(record: Broadcast, context: BroadcastContext<Out, B>): void
}

/**
 * Records on their way, in order within a subtask. Functions given to it are synchronous, and called once per record, in order; what they throw
 * ends the attempt. Ids are unique in the job, and stay the same over edits: state is found by them.
 */
export interface Stream<T> {
  /** One record out for each record in, with the same timestamp (milliseconds since 1970; NO_TIMESTAMP when it has none). */
  map<Out>(id: string, map: (record: T, timestamp: number) => Out, options?: OperatorOptions): Stream<Out>
  /** Keeps the records for which the type guard holds. */
  filter<Kept extends T>(
    id: string,
    filter: (record: T, timestamp: number) => record is Kept,
    options?: OperatorOptions,
  ): Stream<Kept>
  /** Keeps the records for which it holds. */
  filter(id: string, filter: (record: T, timestamp: number) => boolean, options?: OperatorOptions): Stream<T>
  /** Any number of records out for each record in, with the same timestamp; the iterable is read to its end before the next record. */
  flatMap<Out>(
    id: string,
    flatMap: (record: T, timestamp: number) => Iterable<Out>,
    options?: OperatorOptions,
  ): Stream<Out>
  /** A function with state per subtask, side outputs and an end. */
  process<Out, const S extends OperatorState = NoState>(
    id: string,
    process: OperatorFunction<T, Out, S>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
  /** Routes by key: string, number, boolean, bigint or a tuple of these. The selector must be pure: the same record, the same key. */
  keyBy<const K>(key: (record: T) => K): KeyedStream<T, K>
  /** The records of this stream and of others; those of one stay in order. */
  union<Others extends readonly [unknown, ...unknown[]]>(
    ...others: { readonly [Index in keyof Others]: Stream<Others[Index]> }
  ): Stream<T | Others[number]>
  /** Deals the records out evenly to the subtasks of what reads them; their order is lost where there are several. */
  rebalance(): Stream<T>
  /** Gives every record to every subtask of what is connected to it: rules, rates, small tables. */
  broadcast(): BroadcastStream<T>
  /** With a stream that every subtask gets all of. */
  connect<U>(broadcast: BroadcastStream<U>): BroadcastConnectedStreams<T, U>
  /** With another stream: a function for each, and one state. */
  connect<U>(other: Stream<U>): ConnectedStreams<T, U>
  /** Ends this branch; other operators may read the same stream. */
  sink<C, W>(id: string, sink: Sink<T, C, W>, options?: OperatorOptions): void
}

/** What a source, a process or a connect gives. */
export interface OperatorStream<T> extends Stream<T> {
  /** What the operator gives to a side output; the same stream each time. */
  side<S>(output: SideOutput<S>): Stream<S>
}

/** Records of equal keys are in one subtask, in order per subtask that sent them. */
export interface KeyedStream<T, K> {
  /** A function with state per key, side outputs and an end. */
  process<Out, const S extends KeyedState = NoState>(
    id: string,
    process: ProcessFunction<T, K, Out, S>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
  /** With a stream that every subtask gets all of. */
  connect<U>(broadcast: BroadcastStream<U>): KeyedBroadcastConnectedStreams<T, U, K>
  /** By the same type of key: records of equal keys meet. */
  connect<U>(other: KeyedStream<U, K>): KeyedConnectedStreams<T, U, K>
}

declare const broadcastOf: unique symbol
/** Only to be connected to. */
export interface BroadcastStream<T> {
  readonly [broadcastOf]: T
}

/** Two streams without a key. */
export interface ConnectedStreams<First, Second> {
  /** A function for each, with one state per subtask. */
  process<Out, const S extends OperatorState = NoState>(
    id: string,
    process: ConnectFunction<First, Second, Out, S>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
}

/** Two streams by the same key. */
export interface KeyedConnectedStreams<First, Second, K> {
  /** A function for each, with one state per key. */
  process<Out, const S extends KeyedState = NoState>(
    id: string,
    process: KeyedConnectFunction<First, Second, K, Out, S>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
}

/** A stream without a key, and a broadcast one. */
export interface BroadcastConnectedStreams<T, Broadcast> {
  /** A function for each; the broadcast state is the same in all subtasks. */
  process<Out, const B extends BroadcastState>(
    id: string,
    process: BroadcastFunction<T, Broadcast, Out, B>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
}

/** A stream with a key, and a broadcast one. */
export interface KeyedBroadcastConnectedStreams<T, Broadcast, K> {
  /** A function for each; the broadcast state is the same in all subtasks, the other is per key. */
  process<Out, const B extends BroadcastState, const S extends KeyedState = NoState>(
    id: string,
    process: KeyedBroadcastFunction<T, Broadcast, K, Out, S, B>,
    options?: OperatorOptions,
  ): OperatorStream<Out>
}

/** What `build` declares the graph with; of no use once it has returned. */
export interface Flow {
  /** A stream begins. @throws TerminalError for an id that is taken or not one */
  source<T, Split extends SplitLike, Position>(
    id: string,
    source: Source<T, Split, Position>,
    options?: OperatorOptions,
  ): OperatorStream<T>
}
