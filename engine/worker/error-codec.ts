/**
 * Errors across a process boundary: their kind says what happens next, so it is kept, with message, stack and causes. What is none of our
 * kinds arrives as an `Error` of the same name.
 */
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  InvariantViolation,
  messageOf,
  RetryableError,
  SluiceError,
  TaskFailure,
  TerminalError,
  type SluiceErrorOptions,
} from '../api/index.ts'

/** Plain JSON. */
export interface PlainError {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: PlainError
}

/** A worker lost its connection to another one: why, only who watches both can say. */
export class PeerLost extends Error {
  override readonly name = 'PeerLost'
  /** The index of the other one. */
  readonly peer: number

  constructor(peer: number, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.peer = peer
  }
}

/** Deeper chains are cyclic. */
const MAX_CAUSES = 8

const KINDS = {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  InvariantViolation,
  RetryableError,
  SluiceError,
  TaskFailure,
  TerminalError,
} as const

export function plainError(error: unknown, depth = 0): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: messageOf(error) }
  return {
    name: error instanceof PeerLost ? `PeerLost ${error.peer}` : error.name,
    message: error.message,
    ...(error instanceof SluiceError && error.code !== undefined ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: plainError(error.cause, depth + 1) }),
  }
}

export function errorOf({ name, message, code, stack, cause }: PlainError): Error {
  const error = bare(name, message, {
    ...(code === undefined ? {} : { code }),
    ...(cause === undefined ? {} : { cause: errorOf(cause) }),
  })
  // That of where it happened, not of where it arrived.
  if (stack !== undefined) error.stack = stack
  return error
}

function bare(name: string, message: string, options: SluiceErrorOptions): Error {
  const peer = /^PeerLost (\d+)$/.exec(name)?.[1]
  if (peer !== undefined) return new PeerLost(Number(peer), message, options)
  if (isKind(name)) return new KINDS[name](message, options)
  const error = new Error(message, options)
  error.name = name
  return error
}

function isKind(name: string): name is keyof typeof KINDS {
  return Object.hasOwn(KINDS, name)
}
