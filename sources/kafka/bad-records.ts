/**
 * What becomes of records that cannot be decoded: the job fails at the first, or they are passed over and counted, or they go out as records
 * of a side output. None is lost silently: the log names the first of each partition.
 */
import { sideOutput, TerminalError, type Batch, type Logger, type Metrics } from '../../engine/api/index.ts'

/** What becomes of a record that cannot be decoded. */
export type BadRecordPolicy = 'fail' | 'skip' | 'side'

/** A record as it was found; the same ones from the same position on in each run. */
export interface BadKafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970, as the record has it. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Why it could not be decoded. */
  readonly error: string
}

/** Bad records under `onBadRecord: 'side'`: `stream.side(badRecords)`. */
export const badRecords = sideOutput<BadKafkaRecord>('bad-records')

const EXCERPT = 120

export class BadRecords {
  readonly #policy: BadRecordPolicy
  readonly #logger: Logger
  readonly #metrics: Metrics
  /** Partitions of which one was told. */
  readonly #told = new Set<string>()

  constructor(policy: BadRecordPolicy, { logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics }) {
    this.#policy = policy
    this.#logger = logger
    this.#metrics = metrics
  }

  /** @throws TerminalError under the policy `fail` */
  note(bad: BadKafkaRecord): void {
    const partition = `${bad.topic}-${bad.partition}`
    const place = `${partition}, offset ${bad.offset}: ${bad.error}: ${excerptOf(bad.value)}`
    if (this.#policy === 'fail') {
      throw new TerminalError(
        `${place}. Mend what writes such records; pass over them with onBadRecord: 'skip', or take them apart with 'side'`,
        { code: 'SLUICE_KAFKA_BAD_RECORD' },
      )
    }
    if (this.#told.has(partition)) return
    this.#told.add(partition)
    this.#logger.warn(`${place}: ${this.#policy === 'skip' ? 'skipped' : 'sent to bad-records'}`)
  }

  /** What a batch says of them. */
  take(bad: readonly BadKafkaRecord[]): Pick<Batch<never>, 'skipped' | 'sides'> {
    if (bad.length === 0) return {}
    if (this.#policy === 'skip') return { skipped: bad.length }
    this.#metrics.count('bad-records', bad.length)
    return { sides: { [badRecords.name]: bad } }
  }
}

function excerptOf(value: Buffer | null): string {
  return value === null ? 'null' : JSON.stringify(value.toString('utf8', 0, EXCERPT))
}
