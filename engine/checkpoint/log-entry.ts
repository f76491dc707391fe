/**
 * One entry of the checkpoint log: immutable, self-contained, self-checked. Recovery and status need the newest one only.
 *
 * Bytes: `sluice-log 1 <sha256 of the body> <body length>\n<body>`, the body being JSON.
 */
import { createHash } from 'node:crypto'
import { CorruptCheckpointError, type Generation, type JobId, type Key, type LineageId } from '../api/index.ts'
import type { Manifest } from './manifest.ts'
import type { Restoring } from './restore-choice.ts'

export type EntryKind = 'started' | 'completed' | 'committed' | 'alive' | 'ended'
/** How a job ended. All but FINISHED and FAILED by somebody's will; FAILED with a reason. */
export type EndState = 'FINISHED' | 'STOPPED' | 'CANCELED' | 'FAILED'

/** What the process was doing when it appended an entry that is no ending. */
export type Phase = 'starting' | 'restarting' | 'running' | 'stopping'

/** Who appended an entry: enough to ask whether it still lives. */
export interface HolderIdentity {
  readonly bootId: string
  readonly netNamespace: string
  /** Name of the abstract unix socket it listens on (without the leading NUL). */
  readonly socket: string
  readonly pid: number
  readonly host: string
  /** How it can be asked for something; left out: it cannot (an older release, or a program that offers no such thing). */
  readonly control?: HolderControl
}

/** How a process that runs a job is asked for something. */
export interface HolderControl {
  /** Path of the unix socket that it listens on for its own user; left out: it has none, and is asked through the store. */
  readonly socket?: string
}

/** A completed checkpoint that the log still refers to: its manifest inline or as a blob. */
export type RetainedCheckpoint = {
  readonly checkpoint: number
  readonly generation: number
  readonly final: boolean
  /** Wall clock, for people. */
  readonly at: number
  /** The same, of its trigger: what sources gave before is in it. Left out by older releases. */
  readonly triggeredAt?: number
} & ({ readonly inline: Manifest } | { readonly key: Key; readonly sizeBytes: number; readonly sha256: string })

/** What a sink of some generation may have left behind outside and nobody has cleanly aborted yet. */
export interface UncleanScope {
  readonly operator: string
  /** The newest one that may have left something there. */
  readonly generation: number
  /** The oldest one; left out: the same. All between them count. */
  readonly since?: number
  /** Theirs; left out: the entry's. */
  readonly lineage?: LineageId
  /** base64 of `Sink.scope()` */
  readonly scope: string
}

export interface LogEntry {
  readonly format: 1
  readonly seq: number
  readonly kind: EntryKind
  readonly job: JobId
  readonly lineage: LineageId
  readonly generation: Generation
  /** Of the process and attempt that appended it. */
  readonly nonce: string
  readonly holder: HolderIdentity
  /** Wall clock, for people only. */
  readonly at: number
  /** Oldest first; ascending. */
  readonly retained: readonly RetainedCheckpoint[]
  /** Commits of all completed checkpoints up to here are facts. 0: none. */
  readonly committedThrough: number
  readonly nextCheckpoint: number
  readonly unclean: readonly UncleanScope[]
  /** Checkpoints whose lost commits somebody accepted with `--accept-loss`. */
  readonly acceptedLosses: readonly number[]
  readonly settings: Readonly<Record<string, string>>
  readonly codeIdentity: string
  readonly planHash: string
  readonly parallelism: number
  /** In-process restarts since the process started. */
  readonly restarts: number
  /** The newest failures, oldest first, at most ten. */
  readonly failures: readonly { readonly at: number; readonly generation: number; readonly message: string }[]
  /** Left out by older releases. */
  readonly phase?: Phase
  /** What this run begins from instead of the newest checkpoint, until that is carried out: nothing else may go on from here. */
  readonly restoring?: Restoring
  /** Only in `ended`. */
  readonly end?: { readonly state: EndState; readonly reason?: string }
}

/** What the newest entry of a log says to those who watch a run. */
export interface LogHead {
  readonly seq: number
  readonly generation: number
  /** No other entry has it. */
  readonly nonce: string
  readonly holder: HolderIdentity
  /** Completed checkpoints, oldest first. */
  readonly retained: readonly { readonly checkpoint: number }[]
  /** All commits up to this checkpoint are made; 0: none. */
  readonly committedThrough: number
  /** The job has ended. */
  readonly end?: { readonly state: 'FINISHED' | 'STOPPED' | 'CANCELED' | 'FAILED'; readonly reason?: string }
}

/** An entry of this number and its multiples is followed by a waymark. */
export const MARK_DISTANCE = 1_000

export function logKey(job: string, seq: number): Key {
  return `${job}/log/${number(seq)}`
}

export function markKey(job: string, number: number): Key {
  return `${job}/mark/${number}`
}

export function encodeLogEntry(entry: LogEntry): Uint8Array {
  const body = Buffer.from(JSON.stringify(entry))
  return Buffer.concat([Buffer.from(`${MAGIC} ${sha256(body)} ${body.byteLength}\n`), body])
}

/** @throws CorruptCheckpointError naming `key` if the bytes are not exactly what `encodeLogEntry` made */
export function decodeLogEntry(key: Key, bytes: Uint8Array): LogEntry {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lineEnd = buffer.indexOf(10)
  const match = /^sluice-log 1 ([0-9a-f]{64}) (\d+)$/.exec(buffer.toString('latin1', 0, Math.max(0, lineEnd)))
  if (match === null) {
    const what = bytes.byteLength === 0 ? 'is empty' : 'does not start like a log entry of a version this release reads'
    throw new CorruptCheckpointError(`log entry ${key} ${what}; ${CURE}`, { code: 'SLUICE_LOG_CORRUPT' })
  }
  const body = buffer.subarray(lineEnd + 1)
  if (body.byteLength !== Number(match[2])) {
    throw new CorruptCheckpointError(
      `log entry ${key} has ${body.byteLength} bytes, ${match[2]} were written; ${CURE}`,
      { code: 'SLUICE_LOG_CORRUPT' },
    )
  }
  if (sha256(body) !== match[1])
    throw new CorruptCheckpointError(`log entry ${key} does not match its sha256; ${CURE}`, {
      code: 'SLUICE_LOG_CORRUPT',
    })
  return parseBody(key, body.toString('utf8'))
}

/** The checksum holds, so these are our own bytes: what is left is a file of another release, or one under another's name. */
function parseBody(key: Key, body: string): LogEntry {
  const entry = JSON.parse(body) as LogEntry
  if (entry.format !== 1) {
    throw new CorruptCheckpointError(
      `log entry ${key} has format ${String(entry.format)}, this release reads 1; use the release that wrote it`,
      { code: 'SLUICE_FORMAT_UNKNOWN' },
    )
  }
  if (!key.endsWith(`/log/${number(entry.seq)}`)) {
    throw new CorruptCheckpointError(
      `log entry ${key} says that it is number ${entry.seq}; it was moved or copied; ${CURE}`,
      { code: 'SLUICE_LOG_CORRUPT' },
    )
  }
  return entry
}

function number(seq: number): string {
  return String(seq).padStart(12, '0')
}

const MAGIC = 'sluice-log 1'
const CURE =
  'bring this file back from a backup; nothing older is used on our own, since what it completed may already be visible'

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
