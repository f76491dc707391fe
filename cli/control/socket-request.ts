/** One request over the socket of a running process. */
import { connect } from 'node:net'
import { TerminalError, type CheckpointStore } from '../../engine/api/index.ts'
import { decodeLogEntry, logKey } from '../../engine/checkpoint/log-entry.ts'
import { LineSocket } from './line-socket.ts'
import {
  encodeMessage,
  parseGreeting,
  parseOutcome,
  type ControlOutcome,
  type ControlRequest,
  type Greeting,
} from './protocol.ts'
import { isPrivateSocket } from './socket-place.ts'

export interface SocketRequest {
  readonly path: string
  readonly store: CheckpointStore
  readonly request: ControlRequest
  readonly signal: AbortSignal
  readonly onAsked: () => void
}

/**
 * `unreachable`: nothing was asked. `lost`: it was, and the process has closed the connection without an answer.
 * @throws TerminalError when the process runs on another store than ours: nothing was asked
 */
export async function askOverSocket(options: SocketRequest): Promise<ControlOutcome | 'unreachable' | 'lost'> {
  const { path, store, request, signal, onAsked } = options
  if (!(await isPrivateSocket(path))) return 'unreachable'
  const socket = connect(path)
  const lines = new LineSocket(socket)
  const abort = (): void => void socket.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    // A stopped process greets nobody: then it is waited for, as whoever asked can see.
    const text = await lines.next()
    const greeting = text === undefined ? undefined : parseGreeting(text)
    if (greeting === undefined || greeting.job !== request.job) return 'unreachable'
    if (!(await isOurs(store, greeting))) throw otherStore(request.job, store)
    if (signal.aborted) return 'unreachable'
    lines.send(encodeMessage(request))
    onAsked()
    const answer = await lines.next()
    return (answer === undefined ? undefined : parseOutcome(answer)) ?? 'lost'
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

/** The newest entry that the process knows of is in our store. */
async function isOurs(store: CheckpointStore, { job, seq, nonce }: Greeting): Promise<boolean> {
  const key = logKey(job, seq)
  const bytes = await store.get(key)
  return bytes !== undefined && decodeLogEntry(key, bytes).nonce === nonce
}

function otherStore(job: string, { uri }: CheckpointStore): TerminalError {
  return new TerminalError(
    `the process that ${uri} names for job "${job}" runs on another store: is this one a copy, or an old state of it? Nothing was asked. ` +
      'Name the store of the run with --store',
    { code: 'SLUICE_CONTROL_OTHER_STORE' },
  )
}
