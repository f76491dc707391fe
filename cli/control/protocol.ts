/**
 * What a running process and those who ask something of it say to each other, over its socket and through the store: four verbs, and what
 * came of them. Plain JSON, one object a line or a store object. Everything that comes in is parsed here, and nothing else is obeyed.
 *
 *   socket   process: greeting ─▶ asker: request ─▶ process: outcome
 *   store    asker: request-<n> ─▶ process: answer-<n>, unless the log itself is the answer (the job has ended)
 */
import type { Key } from '../../engine/api/index.ts'
import type { EndState, HolderIdentity } from '../../engine/checkpoint/log-entry.ts'

export const VERBS = ['stop', 'drain', 'cancel', 'checkpoint'] as const
export type Verb = (typeof VERBS)[number]

/** Who the process is: its job, and the newest entry that it has written or read. The asker looks for that entry in its own store. */
export interface Greeting {
  readonly job: string
  readonly seq: number
  readonly nonce: string
}

export interface ControlRequest {
  readonly job: string
  readonly verb: Verb
  /** The newest that the asker knows of; what is left of older ones may be swept by name. */
  readonly generation: number
  /** In the store: makes it unlike any other. */
  readonly id?: string
}

export type ControlOutcome =
  | ({ readonly kind: 'ended' } & JobEnd)
  /** Everything of it is visible. null: how long it took is not known any more. */
  | { readonly kind: 'completed'; readonly checkpoint: number; readonly durationMs: number | null }
  | { readonly kind: 'not-completed'; readonly reason: string }
  /** The process has let go of the job, and the job has not ended: fenced, or in doubt about its log. */
  | { readonly kind: 'broken-off'; readonly reason: string }
  /** Not done, and nothing was changed. */
  | { readonly kind: 'refused'; readonly reason: string }

/** As the `ended` entry has it. */
export interface JobEnd {
  readonly state: EndState
  /** The newest completed one. */
  readonly checkpoint: number | null
  readonly committedThrough: number
  readonly reason?: string
}

/** Of a line of the socket, and of an object in the store. */
export const MAX_MESSAGE_BYTES = 64 * 1024
const FORMAT = 1
const TOKEN = /^sluice-[0-9a-f]{32}$/

/** An outcome in the store names the generation that its request named. */
export function encodeMessage(
  message: Greeting | ControlRequest | (ControlOutcome & { readonly generation?: number }),
): string {
  return JSON.stringify({ sluice: FORMAT, ...message })
}

/** Undefined: it is none. */
export function parseGreeting(text: string): Greeting | undefined {
  const { job, seq, nonce } = fieldsOf(text)
  return typeof job === 'string' && isCount(seq) && typeof nonce === 'string' ? { job, seq, nonce } : undefined
}

/** Undefined: it is none. */
export function parseRequest(text: string): ControlRequest | undefined {
  const { job, verb, generation } = fieldsOf(text)
  const known = VERBS.find((one) => one === verb)
  if (typeof job !== 'string' || known === undefined || !isCount(generation)) return undefined
  return { job, verb: known, generation }
}

/** Undefined: it is none. */
export function parseOutcome(text: string): ControlOutcome | undefined {
  const { kind, state, checkpoint, committedThrough, durationMs, reason } = fieldsOf(text)
  const why = typeof reason === 'string' ? reason : undefined
  switch (kind) {
    case 'ended': {
      const known = STATES.find((one) => one === state)
      if (known === undefined || !isCount(committedThrough)) return undefined
      const end = { state: known, checkpoint: isCount(checkpoint) ? checkpoint : null, committedThrough }
      return { kind, ...end, ...(why === undefined ? {} : { reason: why }) }
    }
    case 'completed':
      if (!isCount(checkpoint)) return undefined
      return { kind, checkpoint, durationMs: typeof durationMs === 'number' ? durationMs : null }
    case 'not-completed':
    case 'broken-off':
    case 'refused':
      return { kind, reason: why ?? 'no reason was given' }
    default:
      return undefined
  }
}

/** In the store: of one process, numbered from 1. @throws never: undefined for a holder whose name is none of ours */
export function mailboxOf(job: string, holder: HolderIdentity): Mailbox | undefined {
  if (!TOKEN.test(holder.socket)) return undefined
  const key = (kind: string, number: number): Key => `${prefixOf(job)}${holder.socket}-${kind}-${number}`
  return { requestKey: (number) => key('request', number), answerKey: (number) => key('answer', number) }
}

export interface Mailbox {
  requestKey(number: number): Key
  answerKey(number: number): Key
}

export function prefixOf(job: string): Key {
  return `${job}/control/`
}

/** Of a request or an answer in the store: whose it is. */
export function tokenOf(job: string, key: Key): string | undefined {
  return /^(sluice-[0-9a-f]{32})-(?:request|answer)-\d+$/.exec(key.slice(prefixOf(job).length))?.[1]
}

/** That a request or an answer names, for sweeping. */
export function generationIn(text: string): number | undefined {
  const { generation } = fieldsOf(text)
  return isCount(generation) ? generation : undefined
}

const STATES = ['FINISHED', 'STOPPED', 'CANCELED', 'FAILED'] as const satisfies readonly EndState[]

/** None for what is not an object of this format: a later one may mean something else by the same words. */
function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = text.length > MAX_MESSAGE_BYTES ? undefined : JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null) return {}
    const fields = parsed as Readonly<Record<string, unknown>>
    return fields['sluice'] === FORMAT ? fields : {}
  } catch {
    return {}
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
