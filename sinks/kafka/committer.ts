/**
 * Ends prepared transactions, from any process. Keeps no state (S1): what the broker says decides (commit-decision.ts).
 *
 * At commit time AddOffsetsToTxn is never sent: on a transaction that has ended it begins another one.
 */
import { CODES, describeCode } from '../../clients/kafka/error-table.ts'
import { END_TXN } from '../../clients/kafka/wire/end-transaction.ts'
import { OFFSET_FETCH, type CommittedOffset, type OffsetFetchResponse } from '../../clients/kafka/wire/group-offsets.ts'
import { DESCRIBE_TRANSACTIONS } from '../../clients/kafka/wire/transaction-states.ts'
import {
  messageOf,
  RetryableError,
  TerminalError,
  unreachable,
  type AbortPermit,
  type AbortReport,
  type CommitOutcome,
  type CommitPermit,
  type CommitRequest,
  type Committer,
  type CommitterContext,
  type StaleScope,
} from '../../engine/api/index.ts'
import {
  decideCommit,
  describedAs,
  endedAs,
  lossOf,
  type CommitFacts,
  type Described,
  type Ended,
  type Witness,
} from './commit-decision.ts'
import { describeHandle, witnessGroup, type KafkaTransaction } from './committable.ts'
import type { KafkaConnection } from './connection.ts'
import { StaleTransactions } from './stale-transactions.ts'
import { coordinatorOf } from './transaction.ts'

export interface CommitterOptions {
  readonly connection: KafkaConnection
  readonly context: Pick<CommitterContext, 'operator' | 'signal' | 'logger'>
}

/** For one request, over all its tries; the engine asks again. */
const PATIENCE_MS = 5_000
/** Of one transaction: open, refused, and open again can only be somebody who ends and begins it meanwhile. */
const MOST_LOOKS = 4
const NOT_ALLOWED = new Set([30, 53])

export class KafkaCommitter implements Committer<KafkaTransaction> {
  readonly #options: CommitterOptions

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** One after another, up to the first that cannot be: what comes after it must not be visible before it (C6). */
  async commit(
    _permit: CommitPermit,
    requests: readonly CommitRequest<KafkaTransaction>[],
  ): Promise<readonly CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    for (const { committable } of requests) {
      const outcome = await this.#commitOne(committable)
      outcomes.push(outcome)
      if (outcome.kind !== 'committed' && outcome.kind !== 'already-committed') break
    }
    const blocker = requests[outcomes.length - 1]?.committable.transactionalId
    return requests.map((_, index) => outcomes[index] ?? { kind: 'retry', cause: `it comes after "${blocker}"` })
  }

  async abortStale(_permit: AbortPermit, stale: StaleScope<KafkaTransaction>): Promise<AbortReport> {
    return await new StaleTransactions(this.#options).abort(stale)
  }

  async inspect(
    committables: readonly KafkaTransaction[],
  ): Promise<readonly ('prepared' | 'committed' | 'gone' | 'unknown')[]> {
    return await Promise.all(
      committables.map(async (handle) => {
        const { described } = await this.#describe(handle)
        if (described === 'open') return 'prepared'
        if (described === 'committed') return 'committed'
        if (described === 'unanswered') return 'unknown'
        const { witness } = await this.#askWitness(handle)
        if (witness === 'present') return 'committed'
        return witness === 'absent' ? 'gone' : 'unknown'
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.connection[Symbol.asyncDispose]()
  }

  async #commitOne(handle: KafkaTransaction): Promise<CommitOutcome> {
    let why: unknown = 'the answers of the broker contradict each other'
    let { described, cause } = await this.#describe(handle)
    let facts: CommitFacts = { described, ended: 'not-asked', witness: 'not-asked' }
    for (let looks = 0; looks < MOST_LOOKS;) {
      const decision = decideCommit(facts)
      switch (decision) {
        case 'end': {
          const answer = await this.#end(handle)
          why = answer.cause
          facts = { ...facts, ended: answer.ended }
          break
        }
        case 'describe-again':
          looks += 1
          ;({ described, cause } = await this.#describe(handle))
          facts = { described, ended: 'not-asked', witness: 'not-asked' }
          break
        case 'ask-witness': {
          const answer = await this.#askWitness(handle)
          why = answer.cause
          facts = { ...facts, witness: answer.witness }
          break
        }
        case 'committed':
        case 'already-committed':
          return { kind: decision }
        case 'lost':
          return { kind: 'lost', reason: this.#reasonOf(handle, facts.described) }
        case 'ask-later':
          return { kind: 'unknown', cause: why ?? cause }
        default:
          return unreachable(decision)
      }
    }
    return { kind: 'unknown', cause: why }
  }

  #reasonOf(handle: KafkaTransaction, described: Described): string {
    const begun = new Date(handle.begunAtMs).toISOString()
    return (
      `Kafka's transaction ${describeHandle(handle)} with ${handle.records} records, begun at ${begun}, is gone: ${lossOf(described)}. ` +
      `They can be written again by going back to an older checkpoint (those that were visible since come twice), or be given up with ` +
      `--accept-loss. Raise transactionTimeoutMs where the job may be down for longer`
    )
  }

  async #describe(handle: KafkaTransaction): Promise<{ readonly described: Described; readonly cause?: unknown }> {
    const { transactionalId } = handle
    const answer = await this.#asked(
      async () =>
        await this.#options.connection.persist(
          DESCRIBE_TRANSACTIONS,
          coordinatorOf(transactionalId),
          { transactionalIds: [transactionalId] },
          { errorCodeOf: ({ transactions }) => transactions[0]?.errorCode ?? 0, ...this.#patience },
        ),
    )
    if (answer.kind === 'none') return { described: 'unanswered', cause: answer.cause }
    const [description] = answer.value.transactions
    if (description !== undefined) this.#refuseRights('DescribeTransactions', handle, description.errorCode)
    const cause = description === undefined ? 'an empty answer' : describeCode(description.errorCode)
    return { described: describedAs(handle, description), cause }
  }

  async #end(handle: KafkaTransaction): Promise<{ readonly ended: Ended; readonly cause?: unknown }> {
    const { transactionalId, producerId, producerEpoch, endTxnVersion: version } = handle
    const answer = await this.#asked(
      async () =>
        await this.#options.connection.persist(
          END_TXN,
          coordinatorOf(transactionalId),
          { transactionalId, producerId, producerEpoch, commits: true },
          { version, errorCodeOf: ({ errorCode }) => errorCode, ...this.#patience },
        ),
    )
    if (answer.kind === 'none') return { ended: 'unclear', cause: answer.cause }
    const { errorCode } = answer.value
    this.#refuseRights('EndTxn', handle, errorCode)
    return { ended: endedAs(errorCode), cause: describeCode(errorCode) }
  }

  /** A later use of the id may be pending. What is committed before it is evidence; that nothing is, only when nothing is pending. */
  async #askWitness(handle: KafkaTransaction): Promise<{ readonly witness: Witness; readonly cause?: unknown }> {
    const committed = await this.#fetchWitness(handle, false)
    return committed.witness === 'absent' ? await this.#fetchWitness(handle, true) : committed
  }

  async #fetchWitness(
    handle: KafkaTransaction,
    requireStable: boolean,
  ): Promise<{ readonly witness: Witness; readonly cause?: unknown }> {
    const groupId = witnessGroup(handle.transactionalId)
    const answer = await this.#asked(
      async () =>
        await this.#options.connection.persist(
          OFFSET_FETCH,
          { kind: 'coordinator', of: 'group', key: groupId },
          { requireStable, groups: [{ groupId, topics: null }] },
          { errorCodeOf: errorOfOffsets, ...this.#patience },
        ),
    )
    if (answer.kind === 'none') return { witness: 'unanswered', cause: answer.cause }
    const errorCode = errorOfOffsets(answer.value)
    this.#refuseRights('OffsetFetch', handle, errorCode)
    if (errorCode !== 0) return { witness: 'unanswered', cause: describeCode(errorCode) }
    if (answer.value.groups.length === 0) return { witness: 'unanswered', cause: 'an empty answer' }
    // Of several topics, perhaps: each use of the id may have written to another one.
    return { witness: offsetsOf(answer.value).some(({ offset }) => offset >= handle.use) ? 'present' : 'absent' }
  }

  get #patience() {
    return { deadlineMs: PATIENCE_MS, signal: this.#options.context.signal }
  }

  async #asked<A>(
    ask: () => Promise<A>,
  ): Promise<{ readonly kind: 'some'; readonly value: A } | { readonly kind: 'none'; readonly cause: unknown }> {
    try {
      return { kind: 'some', value: await ask() }
    } catch (cause) {
      if (!(cause instanceof RetryableError) && !this.#options.context.signal.aborted) throw cause
      return { kind: 'none', cause: messageOf(cause) }
    }
  }

  #refuseRights(request: string, handle: KafkaTransaction, errorCode: number): void {
    if (!NOT_ALLOWED.has(errorCode)) return
    throw new TerminalError(
      `Kafka sink "${this.#options.context.operator}" may not commit ${describeHandle(handle)}: ${request} is answered ` +
        `${describeCode(errorCode)}. What is prepared is still there: give the user of the Kafka configuration its rights back ` +
        `(docs/kafka.md lists them) and start the job before the transaction times out`,
      { code: 'SLUICE_KAFKA_NOT_ALLOWED' },
    )
  }
}

function offsetsOf({ groups }: OffsetFetchResponse): readonly CommittedOffset[] {
  return groups.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions))
}

function errorOfOffsets(answer: OffsetFetchResponse): number {
  const ofGroup = answer.groups[0]?.errorCode ?? 0
  if (ofGroup !== 0) return ofGroup === CODES.GROUP_ID_NOT_FOUND ? 0 : ofGroup
  return offsetsOf(answer).find(({ errorCode }) => errorCode !== 0)?.errorCode ?? 0
}
