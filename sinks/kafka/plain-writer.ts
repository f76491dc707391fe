/**
 * Writes without transactions: readers see records as they come. A producer id of its own keeps retries from doubling or reordering them
 * within an attempt; what was written after the last completed checkpoint is written again by the next one.
 */
import { INIT_PRODUCER_ID } from '../../clients/kafka/wire/init-producer-id.ts'
import type { SinkBatch, SinkWriter } from '../../engine/api/index.ts'
import { Output, type OutputOptions } from './output.ts'
import { transactionError } from './request-errors.ts'
import type { Session } from './session.ts'

const PATIENCE_MS = 60_000

export class PlainWriter<T> implements SinkWriter<T, never> {
  readonly overlapsPrepare = false
  readonly #options: OutputOptions<T>
  readonly #output: Output<T>
  readonly #session: Session

  private constructor(options: OutputOptions<T>) {
    this.#options = options
    this.#output = new Output(options)
    this.#session = this.#output.openSession(false)
    const { signal } = options.context
    signal.addEventListener('abort', () => this.#session.fail(signal.reason))
  }

  /** @throws TerminalError for a topic that is not there */
  static async create<T>(options: OutputOptions<T>): Promise<PlainWriter<T>> {
    const writer = new PlainWriter(options)
    try {
      await writer.#output.topics.load(options.settings.topics)
      await writer.#begin()
      return writer
    } catch (error) {
      await writer[Symbol.asyncDispose]()
      throw error
    }
  }

  write(batch: SinkBatch<T>): void | Promise<void> {
    this.#output.throwFailure()
    return this.#output.append(batch, this.#session)
  }

  async prepareCommit(): Promise<readonly never[]> {
    this.#output.throwFailure()
    this.#output.flush(this.#session)
    await this.#session.flushed()
    return []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#output.close()
    await this.#options.connection[Symbol.asyncDispose]()
  }

  async #begin(): Promise<void> {
    const { connection, context } = this.#options
    const request = { transactionalId: null, transactionTimeoutMs: PATIENCE_MS, producerId: -1, producerEpoch: -1 }
    const answer = await connection.persist(INIT_PRODUCER_ID, { kind: 'any' }, request, {
      errorCodeOf: ({ errorCode }) => errorCode,
      deadlineMs: PATIENCE_MS,
      signal: context.signal,
    })
    const { errorCode, producerId, producerEpoch } = answer
    if (errorCode !== 0) throw transactionError(context.operator, 'InitProducerId', '(no transactional id)', errorCode)
    this.#session.producer = { producerId, producerEpoch, isTransactional: false }
  }
}
