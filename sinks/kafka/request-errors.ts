/** Error codes of Kafka as errors of ours, with what to do. */
import { CODES, describeCode, errorOfCode } from '../../clients/kafka/error-table.ts'
import { RetryableError, TaskFailure, TerminalError, type SluiceError } from '../../engine/api/index.ts'

const UNKNOWN_SERVER_ERROR = -1
const MESSAGE_TOO_LARGE = 10
const RECORD_LIST_TOO_LARGE = 18
const NOT_ALLOWED = new Set([29, 30, 31, 53])
const RIGHTS = 'Look at the rights of the user in the Kafka configuration: docs/kafka.md lists those that a sink needs'

interface Refused {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  /** Null: there is no transaction. */
  readonly transactionalId: string | null
}

/** Of a batch that is not taken, and would not be if it came again. */
export function produceError(operator: string, refused: Refused): SluiceError {
  const { topic, partition, errorCode, errorMessage, transactionalId } = refused
  const said = `${describeCode(errorCode)}${errorMessage === null ? '' : `: ${errorMessage}`}`
  const what = `Kafka sink "${operator}": ${topic}-${partition} does not take a batch, ${said}`
  if (errorCode === MESSAGE_TOO_LARGE || errorCode === RECORD_LIST_TOO_LARGE) {
    return new TerminalError(
      `${what}. Raise max.message.bytes of the topic, lower maxBatchBytes of the sink, or make the records smaller`,
      { code: 'SLUICE_KAFKA_RECORD_TOO_LARGE' },
    )
  }
  if (NOT_ALLOWED.has(errorCode)) return new TerminalError(`${what}. ${RIGHTS}`, { code: 'SLUICE_KAFKA_NOT_ALLOWED' })
  const { next } = errorOfCode(errorCode)
  if (next === 'fatal' && errorCode !== UNKNOWN_SERVER_ERROR) {
    return new TerminalError(`${what}. It would not be taken if it came again`, { code: 'SLUICE_KAFKA_WRITE_REFUSED' })
  }
  if (transactionalId === null)
    return new TaskFailure(`${what}. It is written again from the last checkpoint`, {
      code: 'SLUICE_KAFKA_WRITE_REFUSED',
    })
  return endedByOthers(`${what}, in the transaction of "${transactionalId}"`)
}

/** Of a request about a transaction. */
export function transactionError(
  operator: string,
  request: string,
  transactionalId: string,
  errorCode: number,
): SluiceError {
  const what = `Kafka sink "${operator}": ${request} of "${transactionalId}" is answered ${describeCode(errorCode)}`
  if (NOT_ALLOWED.has(errorCode)) return new TerminalError(`${what}. ${RIGHTS}`, { code: 'SLUICE_KAFKA_NOT_ALLOWED' })
  if (errorCode === CODES.INVALID_TRANSACTION_TIMEOUT) {
    return new TerminalError(
      `${what}: transactionTimeoutMs is above transaction.max.timeout.ms of the brokers. Lower the one or raise the other`,
      { code: 'SLUICE_KAFKA_TRANSACTION_TIMEOUT' },
    )
  }
  const { next } = errorOfCode(errorCode)
  if (next === 'fenced' || next === 'lost') return endedByOthers(what)
  if (next === 'fatal' && errorCode !== UNKNOWN_SERVER_ERROR) {
    return new TerminalError(`${what}. It would be if it came again`, { code: 'SLUICE_KAFKA_WRITE_REFUSED' })
  }
  return new RetryableError(`${what} for as long as was waited`, { code: 'SLUICE_KAFKA_UNREACHABLE' })
}

/**
 * Never a FencedError: a transaction that timed out is answered the same. Whether a newer generation lives, the log says at the next start.
 */
function endedByOthers(what: string): TaskFailure {
  return new TaskFailure(
    `${what}: the transaction is not open any more. It was open for longer than its timeout, or a newer run of the job has ended it. ` +
      `Nothing of it was completed: its records come again from the last checkpoint`,
    { code: 'SLUICE_KAFKA_TRANSACTION_ENDED' },
  )
}
