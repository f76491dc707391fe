/**
 * The connections of one worker to all others, for one attempt. Each pair has one; the one with the higher number connects.
 *
 *   higher ── hello {attempt, from, to} ─▶ lower            from then on both send frames of channels
 *          ◀─ hello {attempt, from, to} ──
 *
 * - The nonce is known to the workers of the attempt only, and so is the address: a frame of an old attempt, or of a stranger, reaches
 *   nothing of this one.
 * - Nothing is passed on before `resume`: a worker may send as soon as its own tasks are open.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf, type Random } from '../api/index.ts'
import { Connection } from './connection.ts'
import { PeerLost } from './error-codec.ts'
import type { AttemptName } from './messages.ts'
import { MAX_HELLO_BYTES, MAX_PAYLOAD_BYTES, ProtocolError, type Frame } from './frame.ts'

export interface PeerLinksOptions {
  readonly attempt: AttemptName
  /** The number of this worker. */
  readonly self: number
  readonly workers: number
  readonly random: Random
  /** An error thrown here is that peer's: its connection is closed. */
  onFrame(peer: number, frame: Frame): void
  /** Once for a peer, after it had been connected. */
  onLost(error: PeerLost): void
}

interface Hello extends AttemptName {
  readonly from: number
  readonly to: number
}

/** Connections of strangers at a time. */
const MAX_STRANGERS = 16

export class PeerLinks implements AsyncDisposable {
  /** Where the others find this one. */
  readonly address: string
  readonly #options: PeerLinksOptions
  readonly #server: Server
  readonly #peers = new Map<number, Connection>()
  readonly #all = new Set<Connection>()
  readonly #complete = Promise.withResolvers<void>()
  #isPaused = true
  #isClosing = false

  private constructor(options: PeerLinksOptions, address: string, server: Server) {
    this.#options = options
    this.address = address
    this.#server = server
    this.#complete.promise.catch(() => undefined)
    server.maxConnections = options.workers + MAX_STRANGERS
    server.on('connection', (socket) => this.#accept(socket))
    server.on('error', () => undefined)
    this.#checkComplete()
  }

  static async listen(options: PeerLinksOptions): Promise<PeerLinks> {
    const name = `sluice-peer-${options.random.token(24)}`
    const address =
      process.platform === 'linux'
        ? `\0${name}`
        : process.platform === 'win32'
          ? `\\\\.\\pipe\\${name}`
          : join(tmpdir(), name)
    const server = createServer().listen(address)
    await once(server, 'listening')
    return new PeerLinks(options, address, server)
  }

  /** Resolves when there is a connection to each of the others. @throws PeerLost */
  async connect(addresses: readonly string[]): Promise<void> {
    for (let peer = 0; peer < this.#options.self; peer += 1) this.#connect(peer, addresses[peer] ?? '')
    await this.#complete.promise
  }

  /** What has come meanwhile is passed on, and what comes. */
  resume(): void {
    this.#isPaused = false
    for (const connection of this.#peers.values()) connection.resume()
  }

  /** Dropped when the connection is gone, which `onLost` has said. */
  send(peer: number, ...frame: Parameters<Connection['send']>): void {
    this.#peers.get(peer)?.send(...frame)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    this.#complete.reject(new ProtocolError('the connections are closed'))
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const connection of this.#all) connection.close(new ProtocolError('the attempt is over'))
    await closed
  }

  #connect(peer: number, address: string): void {
    const { self, attempt } = this.#options
    const connection = this.#connection(connect(address), peer, (hello) => {
      if (hello.from !== peer || hello.to !== self) throw new ProtocolError(`worker ${peer} says it is ${hello.from}`)
      return peer
    })
    connection.send('hello', 0, helloOf({ ...attempt, from: self, to: peer }))
  }

  #accept(socket: Socket): void {
    const { self, workers, attempt } = this.#options
    const connection = this.#connection(socket, undefined, (hello) => {
      const { from: peer } = hello
      if (hello.to !== self || !(peer > self && peer < workers))
        throw new ProtocolError(`no worker ${peer} connects to ${self}`)
      if (this.#peers.has(peer)) throw new ProtocolError(`worker ${peer} is connected already`)
      connection.send('hello', 0, helloOf({ ...attempt, from: self, to: peer }))
      return peer
    })
  }

  /** `admit` says who it is that said hello. */
  #connection(socket: Socket, expected: number | undefined, admit: (hello: Hello) => number): Connection {
    let peer: number | undefined
    const connection = new Connection(
      socket,
      {
        onFrame: (frame) => {
          if (peer !== undefined) return this.#options.onFrame(peer, frame)
          peer = admit(this.#parse(frame))
          this.#admitted(peer, connection)
        },
        onClose: (error) => {
          this.#all.delete(connection)
          if (peer !== undefined || expected !== undefined) this.#lost(peer ?? expected ?? 0, error)
        },
      },
      MAX_HELLO_BYTES,
    )
    this.#all.add(connection)
    return connection
  }

  #admitted(peer: number, connection: Connection): void {
    connection.maxPayloadBytes = MAX_PAYLOAD_BYTES
    if (this.#isPaused) connection.pause()
    this.#peers.set(peer, connection)
    this.#checkComplete()
  }

  #checkComplete(): void {
    if (this.#peers.size === this.#options.workers - 1) this.#complete.resolve()
  }

  #lost(peer: number, cause: Error | undefined): void {
    if (this.#isClosing) return
    const why = cause === undefined ? 'it was closed' : messageOf(cause)
    const error = new PeerLost(peer, `worker ${this.#options.self} lost its connection to worker ${peer}: ${why}`, {
      cause,
    })
    this.#complete.reject(error)
    this.#options.onLost(error)
  }

  /** @throws ProtocolError for who does not belong to this attempt */
  #parse({ kind, payload }: Frame): Hello {
    if (kind !== 'hello') throw new ProtocolError(`a ${kind} frame came before hello`)
    const hello = jsonOf(payload)
    const { nonce, generation } = this.#options.attempt
    if (typeof hello === 'object' && hello !== null && 'nonce' in hello && 'from' in hello && 'to' in hello) {
      if (hello.nonce !== nonce || !('generation' in hello) || hello.generation !== generation)
        throw new ProtocolError('hello of another attempt')
      const { from, to } = hello
      if (typeof from === 'number' && typeof to === 'number') return { nonce, generation, from, to }
    }
    throw new ProtocolError('hello says not who it is')
  }
}

function helloOf(hello: Hello): { readonly head: Uint8Array } {
  return { head: Buffer.from(JSON.stringify(hello)) }
}

function jsonOf(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new ProtocolError('hello is not JSON', { cause })
  }
}
