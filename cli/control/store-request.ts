/**
 * One request through the store: an object under the next free number of that process's mailbox. Numbers are never freed while the process
 * lives, so it takes each request once, in order, and finds the next one by its name.
 */
import { RetryableError, TerminalError, type CheckpointStore, type Key, type Runtime } from '../../engine/api/index.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { MOST_REQUESTS } from './mailbox-reader.ts'
import {
  encodeMessage,
  mailboxOf,
  parseOutcome,
  type ControlOutcome,
  type ControlRequest,
  type Mailbox,
} from './protocol.ts'

export interface StoreRequest {
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly newest: LogEntry
  readonly request: ControlRequest
  readonly signal: AbortSignal
  readonly onAsked: () => void
}

const ANSWER_POLL_MS = 500
const MOST_TRIES = 10

/** The answer; none comes when the log is the answer. @throws TerminalError when nothing could be asked; what the store throws */
export async function askThroughStore(options: StoreRequest): Promise<ControlOutcome> {
  const { store, runtime, newest, request, signal } = options
  const mailbox = mailboxOf(request.job, newest.holder)
  if (mailbox === undefined) throw full(newest, 'has no name that a request could be sent to')
  const number = await put(options, mailbox)
  const answerKey = mailbox.answerKey(number)
  for (;;) {
    signal.throwIfAborted()
    const bytes = await store.get(answerKey).catch(unlessUnavailable)
    const outcome = bytes === undefined ? undefined : parseOutcome(Buffer.from(bytes).toString('utf8'))
    if (outcome !== undefined) {
      await store.delete(answerKey).catch(() => undefined)
      return outcome
    }
    await runtime.timers.sleep(ANSWER_POLL_MS, signal)
  }
}

/** Under the first number that is free: doubling until there is one, then halving; who is beaten to it goes on with the next. */
async function put(options: StoreRequest, mailbox: Mailbox): Promise<number> {
  const { store, newest, request, signal, runtime } = options
  const isTaken = async (number: number): Promise<boolean> =>
    (await store.get(mailbox.requestKey(number))) !== undefined
  let free = 1
  while (free <= MOST_REQUESTS && (await isTaken(free))) free *= 2
  let taken = Math.floor(free / 2)
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2)
    if (await isTaken(middle)) taken = middle
    else free = middle
  }
  signal.throwIfAborted()
  const bytes = Buffer.from(encodeMessage({ ...request, id: runtime.random.token(16) }))
  // Whatever comes of it, it may be there.
  options.onAsked()
  for (let number = free; number <= MOST_REQUESTS; number += 1) {
    if (await isCreated(options, mailbox.requestKey(number), bytes)) return number
  }
  throw full(
    newest,
    `has been asked ${MOST_REQUESTS} times through the store, and takes no more until it is started anew`,
  )
}

/** Until its answer is clear: a reply that was lost must not make two requests of one. False: the number is another asker's. */
async function isCreated({ store, runtime, signal }: StoreRequest, key: Key, bytes: Buffer): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      if ((await store.create(key, bytes)) === 'created') return true
      const found = await store.get(key)
      return found !== undefined && bytes.equals(found)
    } catch (error) {
      if (!(error instanceof RetryableError) || tries >= MOST_TRIES) throw error
      await runtime.timers.sleep(ANSWER_POLL_MS, signal)
    }
  }
}

/** What cannot be read now can be read later. */
export function unlessUnavailable(error: unknown): undefined {
  if (!(error instanceof RetryableError)) throw error
}

function full({ job, holder }: LogEntry, why: string): TerminalError {
  return new TerminalError(
    `process ${holder.pid} on ${holder.host}, which runs job "${job}", ${why}. Send it SIGTERM for a stop`,
    {
      code: 'SLUICE_CONTROL_FULL',
    },
  )
}
