/**
 * The conversation between a coordinator and one of its workers: plain JSON, one message a frame. What is asked is answered, with a value
 * or an error that keeps its kind; what is told is not.
 *
 * - When the connection closes, everything that was asked and is open fails, so nobody waits for who is gone.
 */
import type { Socket } from 'node:net'
import { TaskFailure } from '../api/index.ts'
import { Connection } from './connection.ts'
import { errorOf, plainError, type PlainError } from './error-codec.ts'
import { ProtocolError, type Frame } from './frame.ts'

/** What one side hears of the other. */
export interface ControlListener<Told, Asked> {
  told(message: Told): void
  /** What it resolves with is the answer. */
  asked(request: Asked): Promise<unknown>
  /** Anything has arrived. */
  heard?(): void
  closed(error: Error | undefined): void
}

type Message<Tell, Ask> =
  | { readonly kind: 'tell'; readonly message: Tell }
  | { readonly kind: 'ask'; readonly id: number; readonly request: Ask }
  | { readonly kind: 'value'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: PlainError }

const NOTHING = new Uint8Array(0)

export class Control<Tell, Ask, Told, Asked> {
  readonly #connection: Connection
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>()
  #asked = 0

  constructor(socket: Socket, listener: ControlListener<Told, Asked>) {
    this.#connection = new Connection(socket, {
      onFrame: (frame) => {
        listener.heard?.()
        this.#take(parse<Told, Asked>(frame), listener)
      },
      onClose: (error) => {
        const gone = new TaskFailure('the connection to the other process is closed', {
          code: 'SLUICE_WORKER_LOST',
          cause: error,
        })
        for (const answer of this.#open.values()) answer.reject(gone)
        this.#open.clear()
        listener.closed(error)
      },
    })
  }

  get isClosed(): boolean {
    return this.#connection.isClosed
  }

  tell(message: Tell): void {
    this.#send({ kind: 'tell', message })
  }

  /** The answer, which is who asks to judge. @throws what the other side threw, of the same kind; TaskFailure when it is gone */
  async ask(request: Ask): Promise<unknown> {
    if (this.isClosed)
      throw new TaskFailure('the connection to the other process is closed', { code: 'SLUICE_WORKER_LOST' })
    this.#asked += 1
    const answer = Promise.withResolvers<unknown>()
    this.#open.set(this.#asked, answer)
    this.#send({ kind: 'ask', id: this.#asked, request })
    return await answer.promise
  }

  close(): void {
    this.#connection.close()
  }

  #take(message: Message<Told, Asked>, listener: ControlListener<Told, Asked>): void {
    switch (message.kind) {
      case 'tell':
        return listener.told(message.message)
      case 'ask':
        return this.#answer(message.id, listener.asked(message.request))
      case 'value':
        return this.#answered(message.id).resolve(message.value)
      case 'error':
        return this.#answered(message.id).reject(errorOf(message.error))
      default:
        throw new ProtocolError(`a control message of kind ${JSON.stringify((message as { kind?: unknown }).kind)}`)
    }
  }

  #answer(id: number, answer: Promise<unknown>): void {
    answer
      .then((value) => this.#send({ kind: 'value', id, value: value ?? null }))
      .catch((error: unknown) => this.#send({ kind: 'error', id, error: plainError(error) }))
  }

  #answered(id: number): PromiseWithResolvers<unknown> {
    const answer = this.#open.get(id)
    if (answer === undefined) throw new ProtocolError(`an answer to ${id}, which nobody asked`)
    this.#open.delete(id)
    return answer
  }

  #send(message: Message<Tell, Ask>): void {
    this.#connection.send('control', 0, { head: NOTHING, rest: Buffer.from(JSON.stringify(message)) })
  }
}

/** The other side is a process of the same package: what its messages hold is its word, that they are messages is checked. */
function parse<Told, Asked>({ kind, payload }: Frame): Message<Told, Asked> {
  if (kind !== 'control') throw new ProtocolError(`a ${kind} frame on the control connection`)
  let message: unknown
  try {
    message = JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new ProtocolError(`a control message of ${payload.length} bytes is not JSON`, { cause })
  }
  if (typeof message === 'object' && message !== null) return message as Message<Told, Asked>
  throw new ProtocolError(`${JSON.stringify(message)} is no message`)
}
