/**
 * A Kafka cluster as sources and sinks see it: which broker to ask, in which version, and asking again where the answer says so.
 * It holds one link per broker, and remembers coordinators until they say that they are none.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Admin, KafkaConfig } from 'kafkajs'
import { messageOf, RetryableError, TerminalError, unreachable } from '../../engine/api/index.ts'
import { describeCode, nextStep } from './error-table.ts'
import { openTransport, type Address, type Link, type Transport } from './kafkajs.ts'
import { FIND_COORDINATOR, type CoordinatorKind } from './wire/find-coordinator.ts'
import { METADATA, type MetadataResponse } from './wire/metadata.ts'
import type { Api, Throttled } from './wire/request.ts'

/** Whom to ask. */
export type Target =
  | { readonly kind: 'any' }
  | { readonly kind: 'broker'; readonly nodeId: number }
  | { readonly kind: 'coordinator'; readonly of: CoordinatorKind; readonly key: string }

export interface AskOptions {
  /** Exactly this version; left out: the highest that both sides speak. */
  readonly version?: number
}

export interface PersistOptions<A> extends AskOptions {
  /** The code that decides whether to ask again. */
  readonly errorCodeOf: (answer: A) => number
  /** Then the last answer is given as it is, or the last error thrown. */
  readonly deadlineMs: number
  /** False: without an answer it is not asked again, as the first request may still arrive and do harm then (default true). */
  readonly isRepeatable?: boolean
  readonly signal?: AbortSignal
}

/** CONCURRENT_TRANSACTIONS is over within milliseconds, a broker that restarts within seconds. */
const FIRST_PAUSE_MS = 4
const LONGEST_PAUSE_MS = 500
const SEED_ATTEMPTS = 3

export class KafkaClient implements AsyncDisposable {
  readonly #transport: Transport
  readonly #seeds: number
  readonly #addresses = new Map<number, Address>()
  readonly #links = new Map<string, Promise<Link>>()
  readonly #coordinators = new Map<string, number>()
  #seed: Promise<Link> | undefined
  #admin: Promise<Admin> | undefined
  #isClosed = false

  private constructor(transport: Transport, seeds: number) {
    this.#transport = transport
    this.#seeds = seeds
  }

  /** Connects to nobody yet. @throws TerminalError for another kafkajs than ours */
  static async open(config: KafkaConfig): Promise<KafkaClient> {
    const seeds = Array.isArray(config.brokers) ? config.brokers.length : SEED_ATTEMPTS
    return new KafkaClient(await openTransport(config), seeds)
  }

  /** Of kafkajs, for what is asked once in a while: topics, configurations, groups. Closed with this client. */
  async admin(): Promise<Admin> {
    this.#admin ??= this.#openAdmin().catch((error: unknown) => {
      this.#admin = undefined
      throw new RetryableError(`Kafka's admin client cannot connect: ${messageOf(error)}`, {
        cause: error,
        code: 'SLUICE_KAFKA_UNREACHABLE',
      })
    })
    return await this.#admin
  }

  /** @param topics null: all; none: only the brokers. A topic that is not there has an `errorCode`. */
  async metadata(topics: readonly string[] | null): Promise<MetadataResponse> {
    const answer = await this.ask(METADATA, { kind: 'any' }, { topics })
    for (const { nodeId, host, port } of answer.brokers) this.#addresses.set(nodeId, { host, port })
    return answer
  }

  /**
   * One request, one answer; error codes are in the answer.
   *
   * @throws RetryableError without an answer: what the broker did is unknown
   * @throws TerminalError where the broker is too old
   */
  async ask<Q, A extends Throttled>(api: Api<Q, A>, target: Target, request: Q, options: AskOptions = {}): Promise<A> {
    const link = await this.#linkOf(target)
    return await link.send(api, versionOf(api, link, options.version), request)
  }

  /** Asks until the answer is one that asking again would not change. @throws RetryableError at the deadline without any answer */
  async persist<Q, A extends Throttled>(
    api: Api<Q, A>,
    target: Target,
    request: Q,
    options: PersistOptions<A>,
  ): Promise<A> {
    const deadline = performance.now() + options.deadlineMs
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      options.signal?.throwIfAborted()
      const isLast = performance.now() + pauseMs >= deadline
      try {
        const answer = await this.ask(api, target, request, options)
        const next = nextStep(options.errorCodeOf(answer))
        if (isLast || !isAskedAgain(next)) return answer
        if (next === 'refresh-coordinator') this.#forgetCoordinator(target)
      } catch (error) {
        if (!(error instanceof RetryableError)) throw error
        this.#forgetCoordinator(target)
        if (isLast || options.isRepeatable === false) throw error
      }
      await sleep(pauseMs, undefined, { ...(options.signal && { signal: options.signal }) })
    }
  }

  /** The highest version of a request that the target and we speak. */
  async versionFor<Q, A>(api: Api<Q, A>, target: Target): Promise<number> {
    return versionOf(api, await this.#linkOf(target))
  }

  /** Requests without an answer are given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const admin = await this.#admin?.catch(() => undefined)
    await admin?.disconnect()
    const links = [...this.#links.values(), ...(this.#seed === undefined ? [] : [this.#seed])]
    for (const link of links) await (await link.catch(() => undefined))?.close()
  }

  async #openAdmin(): Promise<Admin> {
    const admin = this.#transport.admin()
    await admin.connect()
    return admin
  }

  async #linkOf(target: Target): Promise<Link> {
    if (this.#isClosed) throw new RetryableError('this Kafka client is closed', { code: 'SLUICE_KAFKA_UNREACHABLE' })
    switch (target.kind) {
      case 'any':
        return await this.#anyLink()
      case 'broker':
        return await this.#brokerLink(target.nodeId)
      case 'coordinator':
        return await this.#brokerLink(await this.#coordinatorOf(target.of, target.key))
      default:
        return unreachable(target)
    }
  }

  /** One that is open, or opens; the configured ones in turn, then those that the cluster named. */
  async #anyLink(): Promise<Link> {
    let last: unknown
    for (let attempt = 0; attempt < this.#seeds; attempt += 1) {
      try {
        this.#seed ??= this.#transport.openSeed()
        const link = await this.#seed
        await link.connect()
        return link
      } catch (error) {
        if (!(error instanceof RetryableError)) throw error
        last = error
        const failed = this.#seed
        this.#seed = undefined
        await (await failed?.catch(() => undefined))?.close()
      }
    }
    for (const nodeId of this.#addresses.keys()) {
      const link = await this.#brokerLink(nodeId).catch(() => undefined)
      if (link !== undefined) return link
    }
    throw last
  }

  async #brokerLink(nodeId: number): Promise<Link> {
    if (!this.#addresses.has(nodeId)) await this.metadata([])
    const address = this.#addresses.get(nodeId)
    if (address === undefined) {
      throw new RetryableError(`Kafka names no broker ${nodeId}`, { code: 'SLUICE_KAFKA_UNREACHABLE' })
    }
    const name = `${address.host}:${address.port}`
    const opened = this.#links.get(name) ?? this.#transport.open(address)
    this.#links.set(name, opened)
    const link = await opened
    try {
      await link.connect()
      return link
    } catch (error) {
      // It may have moved.
      if (error instanceof RetryableError) this.#addresses.delete(nodeId)
      throw error
    }
  }

  async #coordinatorOf(kind: CoordinatorKind, key: string): Promise<number> {
    const name = `${kind} ${key}`
    const known = this.#coordinators.get(name)
    if (known !== undefined) return known
    const answer = await this.ask(FIND_COORDINATOR, { kind: 'any' }, { kind, keys: [key] })
    const [found] = answer.coordinators
    if (found === undefined || found.errorCode !== 0) throw coordinatorNotFound(name, found?.errorCode)
    this.#addresses.set(found.nodeId, { host: found.host, port: found.port })
    this.#coordinators.set(name, found.nodeId)
    return found.nodeId
  }

  #forgetCoordinator(target: Target): void {
    if (target.kind === 'coordinator') this.#coordinators.delete(`${target.of} ${target.key}`)
  }
}

function coordinatorNotFound(name: string, errorCode: number | undefined): Error {
  const why = errorCode === undefined ? 'an empty answer' : describeCode(errorCode)
  if (errorCode !== undefined && nextStep(errorCode) === 'fatal') {
    return new TerminalError(
      `Kafka does not tell the coordinator of ${name}: ${why}. Look at the rights of the user in the Kafka configuration`,
      { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
    )
  }
  return new RetryableError(`Kafka finds no coordinator of ${name}: ${why}`, { code: 'SLUICE_KAFKA_UNREACHABLE' })
}

/** `refresh-metadata` is for the caller: only it knows what leads what. */
function isAskedAgain(next: ReturnType<typeof nextStep>): boolean {
  return next === 'retry' || next === 'refresh-coordinator'
}

/** @param wanted a version above what the broker has would be answered by a closed connection, as if it were gone */
function versionOf<Q, A>(api: Api<Q, A>, link: Link, wanted?: number): number {
  const { host, port } = link.address
  const spoken = link.versionsOf(api.key)
  const version = wanted ?? Math.min(api.maxVersion, spoken?.maxVersion ?? -1)
  const oldest = wanted ?? Math.max(api.minVersion, spoken?.minVersion ?? 0)
  if (spoken !== undefined && version >= oldest && version >= spoken.minVersion && version <= spoken.maxVersion)
    return version
  const range = spoken === undefined ? 'not at all' : `in versions ${spoken.minVersion} to ${spoken.maxVersion}`
  const needed = wanted === undefined ? `${api.minVersion} to ${api.maxVersion} are spoken here` : `${wanted} is needed`
  throw new TerminalError(
    `the Kafka broker at ${host}:${port} answers ${api.name} ${range}, and ${needed}: ` +
      `it must be Kafka 3.0 or newer, and no older than the one that wrote what is asked about`,
    { code: 'SLUICE_KAFKA_BROKER_TOO_OLD' },
  )
}
