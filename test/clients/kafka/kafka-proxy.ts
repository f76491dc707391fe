/**
 * A TCP proxy before a broker that understands requests: it can stop, lose, delay or cut a connection at exactly one of them. A broker that is
 * started with `advertisedPort: proxy.port` sends its clients here; its `directAddress` is for those that watch.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FrameReader } from './frame-reader.ts'

/**
 * - `hold-request`: the request, and all behind it on its connection, waits for `release`. It is delivered even if its client has gone.
 * - `hold-reply`: the broker has answered; the answer, and all behind it, waits for `release`.
 * - `drop-reply`: the broker has answered, and nobody hears of it; the connection goes on.
 * - `cut-before`: the connection dies, the broker never sees the request.
 * - `cut-after`: the connection dies when the broker has answered.
 * - `cut-within`: the connection ends in the middle of the answer.
 * - `delayMs`: the request is late.
 */
export type TrapAction =
  | 'hold-request'
  | 'hold-reply'
  | 'drop-reply'
  | 'cut-before'
  | 'cut-after'
  | 'cut-within'
  | { readonly delayMs: number }

export interface TrapOptions {
  /** Requests of this kind. */
  readonly apiKey: number
  readonly action: TrapAction
  /** 1, the default: the next one. */
  readonly nth?: number
}

/** Set for one request. */
export class Trap {
  readonly options: TrapOptions
  readonly #reached = Promise.withResolvers<void>()
  readonly #released = Promise.withResolvers<void>()
  readonly #answered = Promise.withResolvers<void>()
  #left: number

  constructor(options: TrapOptions) {
    this.options = options
    this.#left = options.nth ?? 1
  }

  /** The request is here; for actions that look at the answer: the answer is. */
  get reached(): Promise<void> {
    return this.#reached.promise
  }

  /** The broker has answered, whatever became of the answer. */
  get answered(): Promise<void> {
    return this.#answered.promise
  }

  get released(): Promise<void> {
    return this.#released.promise
  }

  /** What is held goes on. */
  release(): void {
    this.#released.resolve()
  }

  /** Whether this request is the one. */
  counts(apiKey: number): boolean {
    if (apiKey !== this.options.apiKey || this.#left === 0) return false
    this.#left -= 1
    return this.#left === 0
  }

  noteReached(): void {
    this.#reached.resolve()
  }

  noteAnswered(): void {
    this.#answered.resolve()
  }
}

export class KafkaProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #connections = new Set<ProxiedConnection>()
  readonly #traps: Trap[] = []
  readonly #seen = new Map<number, number>()
  #brokerPort = 0

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      const connection = new ProxiedConnection(socket, connect(this.#brokerPort, '127.0.0.1'), (apiKey) =>
        this.#trapOf(apiKey),
      )
      this.#connections.add(connection)
      void connection.closed.then(() => this.#connections.delete(connection))
    })
  }

  /** Before the broker, which must know the port; `forwardTo` says where that one listens. */
  static async start(): Promise<KafkaProxy> {
    const server = createServer({ noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new KafkaProxy(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** For the connections that come from now on. */
  forwardTo(brokerPort: number): void {
    this.#brokerPort = brokerPort
  }

  trap(options: TrapOptions): Trap {
    const trap = new Trap(options)
    this.#traps.push(trap)
    return trap
  }

  /** How many requests of a kind came here. */
  seen(apiKey: number): number {
    return this.#seen.get(apiKey) ?? 0
  }

  /** All connections die now. */
  cutAll(): void {
    for (const connection of this.#connections) connection.cut()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const trap of this.#traps) trap.release()
    this.cutAll()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #trapOf(apiKey: number): Trap | undefined {
    this.#seen.set(apiKey, this.seen(apiKey) + 1)
    // Each counts, also where one before it takes the request.
    const hit = this.#traps.filter((trap) => trap.counts(apiKey))
    return hit[0]
  }
}

class ProxiedConnection {
  readonly closed: Promise<unknown>
  readonly #client: Socket
  readonly #broker: Socket
  readonly #trapOf: (apiKey: number) => Trap | undefined
  /** By correlation id: requests that the broker has not answered yet. */
  readonly #open = new Map<number, Trap | undefined>()
  #requests: Promise<void> = Promise.resolve()
  #replies: Promise<void> = Promise.resolve()
  #hasClientLeft = false

  constructor(client: Socket, broker: Socket, trapOf: (apiKey: number) => Trap | undefined) {
    this.#client = client
    this.#broker = broker
    this.#trapOf = trapOf
    broker.setNoDelay(true)
    const [requests, replies] = [new FrameReader(), new FrameReader()]
    client.on('data', (data) => {
      for (const frame of requests.push(data))
        this.#requests = this.#requests.then(async () => await this.#request(frame))
    })
    broker.on('data', (data) => {
      for (const frame of replies.push(data)) this.#replies = this.#replies.then(async () => await this.#reply(frame))
    })
    for (const socket of [client, broker]) socket.on('error', () => socket.destroy())
    client.on('close', () => {
      this.#hasClientLeft = true
      // What is held is still delivered.
      void this.#requests.then(() => this.#leave())
    })
    broker.on('close', () => void this.#replies.then(() => client.destroy()))
    this.closed = Promise.all(
      [client, broker].map(async (socket) => await new Promise((done) => socket.once('close', done))),
    )
  }

  cut(): void {
    this.#client.destroy()
    this.#broker.destroy()
  }

  async #request(frame: Buffer): Promise<void> {
    const apiKey = frame.readInt16BE(4)
    const correlationId = frame.readInt32BE(8)
    const trap = this.#trapOf(apiKey)
    const action = trap?.options.action
    if (trap !== undefined && action === 'cut-before') {
      this.cut()
      trap.noteReached()
      return
    }
    if (trap !== undefined && (action === 'hold-request' || typeof action === 'object')) {
      trap.noteReached()
      await (typeof action === 'object' ? sleep(action.delayMs) : trap.released)
    }
    this.#open.set(correlationId, trap)
    this.#broker.write(frame)
  }

  async #reply(frame: Buffer): Promise<void> {
    const correlationId = frame.readInt32BE(4)
    const trap = this.#open.get(correlationId)
    const action = trap?.options.action
    trap?.noteAnswered()
    if (action === 'cut-after') this.cut()
    if (action === 'cut-within') this.#client.end(frame.subarray(0, frame.length >> 1))
    trap?.noteReached()
    if (trap !== undefined && action === 'hold-reply') await trap.released
    this.#open.delete(correlationId)
    const isPassedOn = action === undefined || typeof action === 'object' || action.startsWith('hold')
    if (isPassedOn && !this.#hasClientLeft) this.#client.write(frame)
    this.#leave()
  }

  /** The broker hears that the client has gone when nothing of it is on its way. */
  #leave(): void {
    if (this.#hasClientLeft && this.#open.size === 0) this.#broker.end()
  }
}
