/**
 * A Kafka sink's transactions as people see and end them (`sluice txn`). What is open is asked of all coordinators; what became of one that a
 * checkpoint holds is decided as the committer decides it.
 *
 * An end names producer id and producer epoch, as a commit does: it never touches a later use of the id, nor initialises it.
 */
import { describeCode } from '../../clients/kafka/error-table.ts'
import { END_TXN } from '../../clients/kafka/wire/end-transaction.ts'
import {
  DESCRIBE_TRANSACTIONS,
  type TransactionDescription,
  type TransactionState,
} from '../../clients/kafka/wire/transaction-states.ts'
import {
  messageOf,
  RetryableError,
  unreachable,
  type EndOutcome,
  type HandPermit,
  type SeenTransaction,
  type SeenTransactions,
  type SinkTransactions,
  type TransactionEnd,
  type TransactionFate,
  type TransactionQuery,
  type TransactionsContext,
} from '../../engine/api/index.ts'
import { transactionsAt } from './broker-transactions.ts'
import { describedAs, endedAs, type Described } from './commit-decision.ts'
import type { KafkaTransaction } from './committable.ts'
import { KafkaCommitter } from './committer.ts'
import type { KafkaConnection } from './connection.ts'
import { coordinatorOf } from './transaction.ts'

export interface KafkaTransactionsOptions {
  readonly connection: KafkaConnection
  readonly context: TransactionsContext
}

type Seen = SeenTransaction<KafkaTransaction>
type Handle = Pick<KafkaTransaction, 'producerId' | 'producerEpoch'>

const PATIENCE_MS = 5_000
const AT_ONCE = 16
/** They hold up readers. */
const NOT_OVER: readonly TransactionState[] = ['Ongoing', 'PrepareCommit', 'PrepareAbort']

/** It is this very one that was described, no later use of the id. */
const IT: ReadonlySet<Described> = new Set(['open', 'committed', 'aborted', 'fenced'])

export class KafkaTransactions implements SinkTransactions<KafkaTransaction> {
  readonly #options: KafkaTransactionsOptions
  readonly #committer: KafkaCommitter

  constructor(options: KafkaTransactionsOptions) {
    this.#options = options
    this.#committer = new KafkaCommitter(options)
  }

  async look(query: TransactionQuery<KafkaTransaction>): Promise<SeenTransactions<KafkaTransaction>> {
    const open = await this.#open(query)
    const held: Seen[] = []
    for (let at = 0; at < query.held.length; at += AT_ONCE) {
      const some = query.held.slice(at, at + AT_ONCE)
      held.push(...(await Promise.all(some.map(async (handle) => await this.#seenOf(handle)))))
    }
    const isHeld = (one: TransactionDescription): boolean =>
      query.held.some((handle) => handle.transactionalId === one.transactionalId && IT.has(describedAs(handle, one)))
    const others = open.descriptions.filter((one) => !isHeld(one)).map(seenOpen)
    return { transactions: [...held, ...others], incomplete: open.incomplete }
  }

  /** With the version of the first try where a checkpoint holds one; else with that of the writer, the highest that is not another family. */
  async end(_permit: HandPermit, transaction: Seen, how: TransactionEnd): Promise<EndOutcome> {
    const { connection } = this.#options
    const handle = handleOf(transaction)
    const target = coordinatorOf(transaction.id)
    try {
      const version = transaction.held?.endTxnVersion ?? (await connection.versionFor(END_TXN, target))
      const { errorCode } = await connection.persist(
        END_TXN,
        target,
        { transactionalId: transaction.id, ...handle, commits: how === 'commit' },
        { version, errorCodeOf: (answer) => answer.errorCode, ...this.#patience },
      )
      const ended = endedAs(errorCode)
      switch (ended) {
        case 'done':
          return { kind: 'done' }
        case 'refused':
          return await this.#endedBefore(transaction, handle, how)
        case 'unclear':
        case 'not-asked':
          return { kind: 'unknown', cause: describeCode(errorCode) }
        default:
          return unreachable(ended)
      }
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      return { kind: 'unknown', cause: messageOf(error) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.connection[Symbol.asyncDispose]()
  }

  async #endedBefore({ id }: Seen, handle: Handle, how: TransactionEnd): Promise<EndOutcome> {
    const description = await this.#describe(id)
    const described = describedAs(handle, description)
    if (described === (how === 'commit' ? 'committed' : 'aborted')) return { kind: 'done' }
    if (described === 'unanswered' || described === 'open') return { kind: 'unknown', cause: stateOf(description) }
    return { kind: 'not-open', state: stateOf(description) }
  }

  async #seenOf(handle: KafkaTransaction): Promise<Seen> {
    const description = await this.#describe(handle.transactionalId)
    const described = describedAs(handle, description)
    const isIts = IT.has(described)
    const openSince = isIts ? sinceOf(description) : null
    return {
      id: handle.transactionalId,
      held: handle,
      fate: fateOf(described) ?? (await this.#witnessed(handle)),
      state: stateOf(description),
      openSince: openSince ?? (described === 'open' ? handle.begunAtMs : null),
      expiresAt: described === 'open' ? expiryOf(description) : null,
      places: isIts ? placesOf(description) : [],
      records: handle.records,
      details: { producerId: handle.producerId, producerEpoch: handle.producerEpoch },
    }
  }

  /** What the id says is no proof: is the witness there? */
  async #witnessed(handle: KafkaTransaction): Promise<TransactionFate> {
    const [answer = 'unknown'] = await this.#committer.inspect([handle])
    return answer === 'prepared' ? 'open' : answer
  }

  async #describe(transactionalId: string): Promise<TransactionDescription | undefined> {
    try {
      const answer = await this.#options.connection.persist(
        DESCRIBE_TRANSACTIONS,
        coordinatorOf(transactionalId),
        { transactionalIds: [transactionalId] },
        { errorCodeOf: ({ transactions }) => transactions[0]?.errorCode ?? 0, ...this.#patience },
      )
      return answer.transactions[0]
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      return undefined
    }
  }

  async #open({ namePrefixes, isOwn }: TransactionQuery<KafkaTransaction>): Promise<Open> {
    const { connection } = this.#options
    const descriptions: TransactionDescription[] = []
    const silent: string[] = []
    try {
      const { brokers } = await connection.metadata([])
      for (const { nodeId } of brokers) {
        const answer = await this.#openAt(nodeId, namePrefixes, isOwn)
        if (typeof answer === 'string') silent.push(`broker ${nodeId} does not list its transactions: ${answer}`)
        else descriptions.push(...answer)
      }
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      silent.push(messageOf(error))
    }
    return { descriptions, incomplete: silent.length === 0 ? undefined : silent.join('; ') }
  }

  /** Why not, where it does not say. */
  async #openAt(
    nodeId: number,
    namePrefixes: readonly string[],
    isOwn: (name: string) => boolean,
  ): Promise<readonly TransactionDescription[] | string> {
    try {
      const told = await transactionsAt(this.#options.connection, {
        nodeId,
        prefixes: namePrefixes,
        states: NOT_OVER,
        isMeant: isOwn,
        patience: this.#patience,
      })
      if (told.kind === 'refused') return describeCode(told.errorCode)
      // A list may be a moment old: what has ended meanwhile is no more to be seen.
      return told.descriptions.filter(({ state }) => state !== undefined && NOT_OVER.includes(state))
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error
      return messageOf(error)
    }
  }

  get #patience() {
    return { deadlineMs: PATIENCE_MS, signal: this.#options.context.signal }
  }
}

interface Open {
  readonly descriptions: readonly TransactionDescription[]
  readonly incomplete: string | undefined
}

/** Undefined: the description is no proof. */
function fateOf(described: Described): TransactionFate | undefined {
  switch (described) {
    case 'open':
    case 'committed':
      return described
    case 'unanswered':
      return 'unknown'
    case 'aborted':
    case 'fenced':
    case 'moved-on':
    case 'behind':
    case 'not-found':
      return undefined
    default:
      return unreachable(described)
  }
}

function seenOpen(description: TransactionDescription): Seen {
  const { transactionalId, state, producerId, producerEpoch } = description
  return {
    id: transactionalId,
    fate: state === 'Ongoing' ? 'open' : 'ending',
    state: stateOf(description),
    openSince: sinceOf(description),
    expiresAt: expiryOf(description),
    places: placesOf(description),
    records: null,
    details: { producerId, producerEpoch },
  }
}

function handleOf({ details }: Seen): Handle {
  return { producerId: Number(details['producerId']), producerEpoch: Number(details['producerEpoch']) }
}

function stateOf(description: TransactionDescription | undefined): string {
  if (description === undefined) return 'no answer'
  return description.state ?? describeCode(description.errorCode)
}

function sinceOf(description: TransactionDescription | undefined): number | null {
  return description !== undefined && description.startedAtMs > 0 ? description.startedAtMs : null
}

function expiryOf(description: TransactionDescription | undefined): number | null {
  const since = sinceOf(description)
  return description === undefined || since === null ? null : since + description.timeoutMs
}

/** Those of topics; that of the witness is our own business. */
function placesOf(description: TransactionDescription | undefined): readonly string[] {
  const topics = description?.topics.filter(({ name }) => name !== '__consumer_offsets') ?? []
  return topics.flatMap(({ name, partitions }) => partitions.map((partition) => `${name}/${partition}`))
}
