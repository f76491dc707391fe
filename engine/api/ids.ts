/**
 * Branded identifiers, one parser each. A number or string becomes an id only here.
 */
import { TerminalError } from './errors.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/**
 * Names one job in one store: letters, digits, `_`, inner `.` and inner `-`, at most 100 characters; safe in a path. Never
 * `--`, which separates the parts of an external name: such a name has one reading (C5).
 */
export type JobId = Brand<string, 'JobId'>
/** Names one operator of a job; state and positions are found by it after an edit. Same alphabet as {@link JobId}. */
export type OperatorId = Brand<string, 'OperatorId'>
/** Numbers a checkpoint and the epoch (the records between two barriers) before it. 1, 2, …; only grows (C5). */
export type CheckpointId = Brand<number, 'CheckpointId'>
/** The fencing token: +1 at each start, in-process restarts included. 1, 2, …. */
export type Generation = Brand<number, 'Generation'>
/** Names one history of a job; a fork or a rollback starts a new one. 8 to 32 lower-case letters and digits. */
export type LineageId = Brand<string, 'LineageId'>

const NAME = /^(?!.*--)[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9_])?$/

/** @throws TerminalError if `text` is not a job id */
export function parseJobId(text: string): JobId {
  if (typeof text !== 'string' || !NAME.test(text))
    throw new TerminalError(`job id ${JSON.stringify(text)} is not valid: ${nameRule}`, { code: 'SLUICE_ID_INVALID' })
  return text as JobId
}

/** @throws TerminalError if `text` is not an operator id */
export function parseOperatorId(text: string): OperatorId {
  if (typeof text !== 'string' || !NAME.test(text))
    throw new TerminalError(`operator id ${JSON.stringify(text)} is not valid: ${nameRule}`, {
      code: 'SLUICE_ID_INVALID',
    })
  return text as OperatorId
}

/** @throws TerminalError if `value` is not a positive safe integer */
export function parseCheckpointId(value: number): CheckpointId {
  return positive(value, 'checkpoint id') as CheckpointId
}

/** @throws TerminalError if `value` is not a positive safe integer */
export function parseGeneration(value: number): Generation {
  return positive(value, 'generation') as Generation
}

/** @throws TerminalError if `text` is not a lineage id */
export function parseLineageId(text: string): LineageId {
  if (!/^[a-z0-9]{8,32}$/.test(text)) throw new TerminalError(`lineage id ${JSON.stringify(text)} is not valid`)
  return text as LineageId
}

const nameRule = 'use letters, digits, "_", inner "." and inner "-" (but no "--"), at most 100 characters'

function positive(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new TerminalError(`${what} ${String(value)} is not a positive integer`)
  return value
}
