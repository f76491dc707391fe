/**
 * The socket of a running process: greets whoever connects with where its log is, takes one request, answers when its outcome is known.
 *
 * - Who connects is of this user: nobody else can enter the directory. Still nothing that comes in is trusted: bounded in number, size and
 *   time, and a peer that sends nothing, something else or never reads costs a descriptor for a while.
 * - The greeting names the newest entry of our log. An asker that does not find it in its own store talks to the wrong process (a copied or
 *   restored store names us, too) and asks for nothing.
 */
import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import type { LogHead } from '../../engine/checkpoint/log-entry.ts'
import { LineSocket } from './line-socket.ts'
import { encodeMessage, parseRequest, type ControlOutcome, type Verb } from './protocol.ts'
import { listenPrivately, sweepSockets } from './socket-place.ts'

export interface ListenerOptions {
  readonly job: string
  /** Undefined: the job is not ours yet. */
  readonly newest: () => LogHead | undefined
  /** Resolves with the outcome; never rejects. */
  readonly ask: (verb: Verb) => Promise<ControlOutcome>
}

const MOST_CONNECTIONS = 200
/** From the greeting to the request: the asker reads one entry of its store meanwhile. */
const REQUEST_WITHIN_MS = 30_000
/** How long answers may take to go out at the end. */
const FLUSH_MS = 1_000

export class ControlListener implements AsyncDisposable {
  readonly path: string
  readonly #server: Server
  readonly #conversations: Map<Socket, Promise<void>>
  readonly #sweeping: Promise<void>

  private constructor(path: string, server: Server, conversations: Map<Socket, Promise<void>>) {
    this.path = path
    this.#server = server
    this.#conversations = conversations
    this.#sweeping = sweepSockets(path).catch(() => undefined)
  }

  /** Does not keep the process running. @throws TerminalError where there can be no socket */
  static async open(options: ListenerOptions): Promise<ControlListener> {
    const conversations = new Map<Socket, Promise<void>>()
    const server = createServer((socket) => {
      const conversation = converse(socket, options).finally(() => conversations.delete(socket))
      conversations.set(socket, conversation)
    })
    server.maxConnections = MOST_CONNECTIONS
    const path = await listenPrivately(server)
    // A failed accept (out of descriptors) concerns who asks, not us.
    server.on('error', () => undefined)
    server.unref()
    return new ControlListener(path, server, conversations)
  }

  /** Those who have been given an outcome still get it; the others are cut off. */
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { force: true }).catch(() => undefined)
    this.#server.close()
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const alarm = setTimeout(resolve, FLUSH_MS)
    await Promise.race([Promise.all(this.#conversations.values()), late])
    clearTimeout(alarm)
    for (const socket of this.#conversations.keys()) socket.destroy()
    await this.#sweeping
  }
}

async function converse(socket: Socket, { job, newest, ask }: ListenerOptions): Promise<void> {
  const entry = newest()
  const lines = new LineSocket(socket)
  const closed = new Promise<undefined>((resolve) => socket.once('close', () => resolve(undefined)))
  // Does not keep a process running that is done.
  socket.unref()
  try {
    if (entry === undefined) return
    const impatience = setTimeout(() => socket.destroy(), REQUEST_WITHIN_MS)
    impatience.unref()
    lines.send(encodeMessage({ job, seq: entry.seq, nonce: entry.nonce }))
    const text = await lines.next()
    clearTimeout(impatience)
    if (text === undefined) return
    const request = parseRequest(text)
    const refused: ControlOutcome = { kind: 'refused', reason: notUnderstood(job, text) }
    const outcome = await Promise.race([request?.job === job ? ask(request.verb) : refused, closed])
    if (outcome === undefined) return
    await Promise.race([closed, new Promise<void>((sent) => socket.end(`${encodeMessage(outcome)}\n`, () => sent()))])
  } finally {
    socket.destroySoon()
  }
}

function notUnderstood(job: string, text: string): string {
  return `the process of job "${job}" does not understand ${JSON.stringify(text.slice(0, 200))}; is it of another release?`
}
