/**
 * What a Kafka sink hands to its committer: one prepared transaction. It is all that a process needs to end it, wherever and whenever that
 * process runs.
 */
import { CorruptCheckpointError, jsonCodec, type Codec } from '../../engine/api/index.ts'

/** A prepared transaction: its handle, and what it is about. */
export interface KafkaTransaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly producerEpoch: number
  /** A repeat must be of the version of the first try: those above 4 answer as if it were another transaction. */
  readonly endTxnVersion: number
  /** The how manieth transaction of this id it is. The offset of the witness: once committed it is never below this one again. */
  readonly use: number
  /** When it began, for messages: 0 before there was anything in it. */
  readonly begunAtMs: number
  /** What it holds, for messages. */
  readonly records: number
}

const json = jsonCodec<unknown>()

export const kafkaTransactionCodec: Codec<KafkaTransaction> = {
  version: json.version,
  encode: (transaction) => json.encode(transaction),
  decode: (bytes, version) => {
    if (version !== json.version) {
      throw new CorruptCheckpointError(
        `a Kafka transaction of version ${version}; this release reads ${json.version}`,
        {
          code: 'SLUICE_FORMAT_UNKNOWN',
        },
      )
    }
    return parseTransaction(json.decode(bytes, version))
  },
}

/** The group whose offset says which use of a transactional id was committed last. */
export function witnessGroup(transactionalId: string): string {
  return `${transactionalId}--commits`
}

/** For messages: all that is needed to look it up at the broker. */
export function describeHandle({ transactionalId, producerId, producerEpoch }: KafkaTransaction): string {
  return `"${transactionalId}" (producer id ${producerId}, producer epoch ${producerEpoch})`
}

const NUMBERS = ['producerId', 'producerEpoch', 'endTxnVersion', 'use', 'begunAtMs', 'records'] as const

function parseTransaction(value: unknown): KafkaTransaction {
  const fields: Partial<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {}
  const numbers = NUMBERS.map((name) => {
    const number = fields[name]
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
  })
  const [producerId, producerEpoch, endTxnVersion, use, begunAtMs, records] = numbers
  const { transactionalId } = fields
  if (
    typeof transactionalId !== 'string' ||
    producerId === undefined ||
    producerEpoch === undefined ||
    endTxnVersion === undefined ||
    use === undefined ||
    begunAtMs === undefined ||
    records === undefined
  ) {
    throw new CorruptCheckpointError(`not a Kafka transaction: ${JSON.stringify(value)}`, {
      code: 'SLUICE_CHECKPOINT_CORRUPT',
    })
  }
  return { transactionalId, producerId, producerEpoch, endTxnVersion, use, begunAtMs, records }
}
