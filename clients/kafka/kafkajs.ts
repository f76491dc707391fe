/**
 * kafkajs as transport: connections, TLS, SASL, and its admin client. This is the only file that touches what is internal to it:
 *
 * 1. `kafka[Symbol(private:Kafka:createCluster)]`, which makes connections with the user's configuration;
 * 2. `broker.connectionPool.send`, which sends a request and resolves with its answer;
 * 3. `broker.versions`, what the broker said that it speaks.
 *
 * Each is looked at when it is loaded: with another kafkajs than {@link KAFKAJS_VERSION} a clear error, not a surprise. Mended here, for the
 * connections that are made here and nobody else's:
 *
 * - a timer that fires 900 times a second per connection, and the warning of Node 24 that its delay is negative;
 * - two requests at once on a connection that is not open opened it twice, and their answers came out of order;
 * - a request without an answer in time left its connection open: where the network is gone all that come after it wait on it for as long as
 *   TCP takes to notice, a quarter of an hour; a prepared transaction does not live for longer;
 * - the half of an answer that a dead connection left behind was taken for the beginning of what came over the next one.
 */
import { createRequire } from 'node:module'
import type { Admin, KafkaConfig } from 'kafkajs'
import { RetryableError, TerminalError } from '../../engine/api/index.ts'
import { ByteReader } from './wire/byte-reader.ts'
import { ByteWriter } from './wire/byte-writer.ts'
import type { Api, Throttled } from './wire/request.ts'

export const KAFKAJS_VERSION = '2.2.4'

/** Of a kind of request, as a broker says what it speaks. */
export interface VersionRange {
  readonly minVersion: number
  readonly maxVersion: number
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** One broker; its connections open when they are needed. Fetches have one of their own, so that they do not hold up other requests. */
export interface Link {
  readonly address: Address
  /** Opens it and authenticates, where it is not open. @throws RetryableError, or TerminalError for credentials that are refused */
  connect(): Promise<void>
  /** Known once it was open. */
  versionsOf(key: number): VersionRange | undefined
  /** @throws RetryableError without an answer: whether the broker did what it was asked is then unknown */
  send<Q, A extends Throttled>(api: Api<Q, A>, version: number, request: Q): Promise<A>
  close(): Promise<void>
}

export interface Transport {
  /** Where the configuration sends us first; with several brokers in it another one each time. */
  openSeed(): Promise<Link>
  open(address: Address): Promise<Link>
  /** To be connected and disconnected by who asks for it. */
  admin(): Admin
}

/** Loads kafkajs. @throws TerminalError for another version of it, or one that is not what this file expects */
export async function openTransport(config: KafkaConfig): Promise<Transport> {
  const { Kafka, logLevel } = await import('kafkajs')
  assertVersion()
  // What it would log comes to us as errors.
  const kafka = new Kafka({ logLevel: logLevel.NOTHING, ...config })
  const [createSymbol] = Object.getOwnPropertySymbols(kafka).filter((one) => one.description === CREATE_CLUSTER)
  if (createSymbol === undefined) throw unexpected(CREATE_CLUSTER)
  const internals = kafka as unknown as Record<symbol, CreateCluster>
  const createCluster = internals[createSymbol]
  if (typeof createCluster !== 'function') throw unexpected(CREATE_CLUSTER)
  const createMended: CreateCluster = (options) => mendedCluster(createCluster(options))
  internals[createSymbol] = createMended
  const cluster = createMended({ allowAutoTopicCreation: false, metadataMaxAge: 0 })
  return {
    openSeed: async () => await openLink(cluster),
    open: async (address) => await openLink(cluster, address),
    admin: () => kafka.admin(),
  }
}

const CREATE_CLUSTER = 'private:Kafka:createCluster'

type CreateCluster = (options: Readonly<Record<string, unknown>>) => Cluster

/** Of kafkajs, as far as it is used. */
interface Cluster {
  readonly rootLogger: unknown
  readonly connectionPoolBuilder: { build(address?: Address): Promise<ConnectionPool> }
  readonly brokerPool: {
    createBroker(options: { readonly connectionPool: ConnectionPool; readonly logger: unknown }): Broker
  }
}

interface Broker {
  readonly connectionPool: ConnectionPool
  versions: Readonly<Record<string, VersionRange>> | null
  isConnected(): boolean
  connect(): Promise<void>
  disconnect(): Promise<void>
}

interface ConnectionPool {
  readonly host: string
  readonly port: number
  readonly pool: readonly Connection[]
  getConnection(index?: number): Promise<Connection>
  send<A>(protocol: {
    readonly request: {
      readonly apiKey: number
      readonly apiName: string
      readonly apiVersion: number
      encode(): { readonly buf: Buffer; readonly buffer: Buffer }
    }
    readonly response: { decode(raw: Buffer): Promise<A>; parse(answer: A): Promise<A> }
    readonly logResponseError: boolean
  }): Promise<A>
}

interface Connection {
  chunks: readonly Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  readonly socket?: { destroy(error?: Error): void }
  readonly requestQueue: RequestQueue
  isConnected(): boolean
  connect(): Promise<unknown>
  rejectRequests(error: Error): void
}

interface RequestQueue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  scheduleCheckPendingRequests(): void
  checkPendingRequests(): void
}

const CHECK_PENDING_MS = 10
const SIZE_BYTES = 4

async function openLink(cluster: Cluster, address?: Address): Promise<Link> {
  return await asOurs(
    async () => {
      const connectionPool = await cluster.connectionPoolBuilder.build(address)
      const broker = cluster.brokerPool.createBroker({ connectionPool, logger: cluster.rootLogger })
      const { host, port } = connectionPool
      const name = `${host}:${port}`
      let opening: Promise<void> | undefined
      return {
        address: { host, port },
        async connect() {
          // It counts as connected before it has said which versions it speaks: who comes meanwhile waits too.
          opening ??= asOurs(async () => await connectBroker(broker), name).finally(() => {
            opening = undefined
          })
          await opening
        },
        versionsOf: (key) => broker.versions?.[key],
        send: async (api, version, request) =>
          await asOurs(async () => await send(broker, api, version, request), name),
        async close() {
          const closed = new RetryableError(`the client of Kafka at ${name} is closed`, {
            code: 'SLUICE_KAFKA_UNREACHABLE',
          })
          for (const connection of connectionPool.pool) connection.rejectRequests(closed)
          await broker.disconnect()
        },
      }
    },
    address === undefined ? 'the brokers of the configuration' : `${address.host}:${address.port}`,
  )
}

async function connectBroker(broker: Broker): Promise<void> {
  if (!broker.isConnected() || broker.versions === null) await broker.connect()
  if (broker.versions === null || typeof broker.versions !== 'object') throw unexpected('broker.versions')
}

async function send<Q, A extends Throttled>(broker: Broker, api: Api<Q, A>, version: number, request: Q): Promise<A> {
  const isFlexible = version >= (api.firstFlexible ?? 0)
  const writer = new ByteWriter()
  // The header that kafkajs writes is that of requests which are not flexible: in others tagged fields follow.
  if (isFlexible) writer.noTaggedFields()
  api.encode(writer, request, version)
  const bytes = writer.written
  const pool = broker.connectionPool
  const sent = pool.send<A>({
    request: { apiKey: api.key, apiName: api.name, apiVersion: version, encode: () => ({ buf: bytes, buffer: bytes }) },
    response: {
      decode: async (raw) => {
        const reader = new ByteReader(raw)
        if (isFlexible) reader.taggedFields()
        const answer = api.decode(reader, version)
        return await Promise.resolve({ ...answer, clientSideThrottleTime: answer.throttleTimeMs })
      },
      parse: async (answer) => await Promise.resolve(answer),
    },
    logResponseError: false,
  })
  return await sent.catch((error: unknown) => {
    if (error instanceof Error && error.name === REQUEST_TIMEOUT) closeSilent(pool, api.key, error)
    throw error
  })
}

const REQUEST_TIMEOUT = 'KafkaJSRequestTimeoutError'
const FETCH_KEY = 1

/** The next request goes over another one; those under way on it have no answer either. Fetches have the second of the pool. */
function closeSilent({ pool }: ConnectionPool, apiKey: number, error: Error): void {
  pool[apiKey === FETCH_KEY ? 1 : 0]?.socket?.destroy(error)
}

function mendedCluster(cluster: Cluster): Cluster {
  const { connectionPoolBuilder, brokerPool } = cluster
  if (typeof connectionPoolBuilder?.build !== 'function') throw unexpected('cluster.connectionPoolBuilder.build')
  if (typeof brokerPool?.createBroker !== 'function') throw unexpected('cluster.brokerPool.createBroker')
  const build = connectionPoolBuilder.build.bind(connectionPoolBuilder)
  // The pool of brokers holds the same builder.
  connectionPoolBuilder.build = async (address) => mendedPool(await build(address))
  return cluster
}

function mendedPool(pool: ConnectionPool): ConnectionPool {
  if (typeof pool.send !== 'function' || !Array.isArray(pool.pool)) throw unexpected('broker.connectionPool.send')
  for (const connection of pool.pool) mendQueue(connection.requestQueue)
  const opening = new Map<number, Promise<Connection>>()
  pool.getConnection = async (index = 0) => {
    const connection = pool.pool[index]
    if (connection === undefined) throw unexpected(`broker.connectionPool.pool[${index}]`)
    if (connection.isConnected()) return connection
    const open = opening.get(index) ?? openConnection(connection).finally(() => opening.delete(index))
    opening.set(index, open)
    return await open
  }
  return pool
}

async function openConnection(connection: Connection): Promise<Connection> {
  connection.chunks = []
  connection.bytesBuffered = 0
  connection.bytesNeeded = SIZE_BYTES
  try {
    await connection.connect()
    return connection
  } catch (error) {
    // One that opens after its timeout would pass for the next one.
    connection.socket?.destroy()
    throw error
  }
}

/** Looks again later only while something waits. */
function mendQueue(queue: RequestQueue): void {
  if (typeof queue?.scheduleCheckPendingRequests !== 'function') throw unexpected('connection.requestQueue')
  queue.scheduleCheckPendingRequests = () => {
    if (queue.throttleCheckTimeoutId !== null || queue.pending.length === 0) return
    const delayMs = Math.max(queue.throttledUntil - Date.now(), CHECK_PENDING_MS)
    queue.throttleCheckTimeoutId = setTimeout(() => {
      queue.throttleCheckTimeoutId = null
      queue.checkPendingRequests()
    }, delayMs)
  }
}

const REFUSED_CREDENTIALS = 'KafkaJSSASLAuthenticationError'

/** Errors of kafkajs as errors of ours; all others stay what they are. */
async function asOurs<T>(run: () => Promise<T>, broker: string): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof Error) || !error.name.startsWith('KafkaJS')) throw error
    if (error.name === REFUSED_CREDENTIALS) {
      throw new TerminalError(
        `${broker} refuses the credentials: ${error.message}. Look at \`sasl\` of the Kafka configuration`,
        { cause: error, code: 'SLUICE_KAFKA_CREDENTIALS' },
      )
    }
    if ('retriable' in error && error.retriable === false) {
      throw new TerminalError(`the Kafka configuration does not work: ${error.message}`, {
        cause: error,
        code: 'SLUICE_KAFKA_CONFIGURATION',
      })
    }
    throw new RetryableError(`no answer from Kafka at ${broker}: ${error.message}`, {
      cause: error,
      code: 'SLUICE_KAFKA_UNREACHABLE',
    })
  }
}

function assertVersion(): void {
  const description: unknown = createRequire(import.meta.url)('kafkajs/package.json')
  const version =
    typeof description === 'object' && description !== null && 'version' in description ? description.version : ''
  if (version !== KAFKAJS_VERSION) throw unexpected(`version ${String(version)}`)
}

function unexpected(what: string): TerminalError {
  return new TerminalError(
    `the kafkajs that was loaded is not the one that this is made for: ${what}. Install kafkajs ${KAFKAJS_VERSION} exactly`,
    { code: 'SLUICE_KAFKA_LIBRARY' },
  )
}
