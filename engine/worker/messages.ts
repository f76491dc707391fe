/**
 * What a coordinator and its workers say to each other: plain JSON. An attempt is named by a nonce, and what belongs to another one than
 * the present is dropped.
 *
 *   load ─▶ prepare ─▶ open ─▶ told … from-task … ─▶ dispose ─▶ prepare …            exit
 */
import type { AttemptSpec, TaskId } from '../task/host.ts'
import type { FigureChange } from '../task/figures.ts'
import type { FromTask, ToTask } from '../task/messages.ts'
import type { PlainError } from './error-codec.ts'
import { ProtocolError } from './frame.ts'

/** What a worker needs to build the same graph over the same store. */
export interface WorkerJob {
  readonly file: string
  /** All that are in force. */
  readonly settings: Readonly<Record<string, string>>
  readonly planHash: string
  readonly codeIdentity: string
  /** Of the package. */
  readonly version: string
  /** URI of the checkpoint store. */
  readonly store: string
  readonly baseDirectory: string
}

export interface AttemptName {
  readonly nonce: string
  readonly generation: number
}

export type ToWorker =
  | { readonly kind: 'to-tasks'; readonly nonce: string; readonly message: ToTask }
  /** The attempt has ended; `dispose` follows. */
  | { readonly kind: 'abort'; readonly nonce: string; readonly error: PlainError }

export type AskWorker =
  | { readonly kind: 'load'; readonly job: WorkerJob; readonly index: number; readonly heartbeatMs: number }
  /** Answer: {@link Prepared}. */
  | { readonly kind: 'prepare'; readonly attempt: AttemptName; readonly index: number; readonly workers: number }
  /** Answered when all tasks of this worker are open. `addresses` of all workers, in order. */
  | { readonly kind: 'open'; readonly nonce: string; readonly spec: AttemptSpec; readonly addresses: readonly string[] }
  /** Answered when nothing of the attempt is at work any more. */
  | { readonly kind: 'dispose'; readonly nonce: string }
  | { readonly kind: 'exit' }

/** Where other workers reach this one for this attempt. */
export interface Prepared {
  readonly address: string
}

export type FromWorker =
  | { readonly kind: 'heartbeat' }
  | {
      readonly kind: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'from-task'; readonly nonce: string; readonly task: TaskId; readonly message: PlainFromTask }
  /** The attempt cannot go on in this worker. */
  | { readonly kind: 'broken'; readonly nonce: string; readonly error: PlainError }
  /** What its tasks have counted since it told the last time: with every few heartbeats, before an acknowledgement, and in the end. */
  | { readonly kind: 'figures'; readonly nonce: string; readonly changes: readonly FigureChange[] }
  /** Nothing is on its way to the store any more under this name. */
  | { readonly kind: 'blob-settled'; readonly nonce: string; readonly key: string }

/** A name for a blob, known to the coordinator before anything is written under it. Answer: {@link BlobName}. */
export interface AskCoordinator {
  readonly kind: 'announce-blob'
  readonly nonce: string
  readonly operator: string
}

export interface BlobName {
  readonly key: string
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

type WithError = Extract<FromTask, { readonly error: unknown }>
export type PlainFromTask =
  | Exclude<FromTask, WithError>
  | (Omit<Extract<WithError, { kind: 'declined' }>, 'error'> & { readonly error: PlainError })
  | (Omit<Extract<WithError, { kind: 'failed' }>, 'error'> & { readonly error: PlainError })

/** @throws ProtocolError */
export function parsePrepared(answer: unknown): Prepared {
  return { address: textIn(answer, 'address') }
}

/** @throws ProtocolError */
export function parseBlobName(answer: unknown): BlobName {
  return { key: textIn(answer, 'key') }
}

function textIn(answer: unknown, name: string): string {
  const text: unknown = typeof answer === 'object' && answer !== null ? Reflect.get(answer, name) : undefined
  if (typeof text === 'string') return text
  throw new ProtocolError(`an answer without ${name}: ${JSON.stringify(answer)}`)
}
