/**
 * Kafka's error codes, by what to do next. What a code means can depend on what was asked; where it does, the caller looks at the code
 * itself, and the table says what is right otherwise.
 */

/**
 * - `done`: there is no error, or what was asked for has happened before.
 * - `retry`: the same request again, to the same broker, a little later.
 * - `refresh-metadata`: another broker leads the partition; look up which, then the same request again.
 * - `refresh-coordinator`: another broker keeps the group or the transactional id; look up which, then the same request again.
 * - `fenced`: a newer producer has the transactional id, or the broker has timed this one out. `DescribeTransactions` tells which.
 * - `lost`: what the request refers to is not there (any more): an offset, an open transaction, an id.
 * - `fatal`: the same request would always fail: rights, sizes, settings, or a bug.
 */
export type NextStep = 'done' | 'retry' | 'refresh-metadata' | 'refresh-coordinator' | 'fenced' | 'lost' | 'fatal'

interface KnownError {
  readonly name: string
  readonly next: NextStep
}

/** Codes that callers tell apart by themselves. */
export const CODES = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  INVALID_TRANSACTION_TIMEOUT: 50,
  CONCURRENT_TRANSACTIONS: 51,
  GROUP_ID_NOT_FOUND: 69,
  FENCED_LEADER_EPOCH: 74,
  UNSTABLE_OFFSET_COMMIT: 88,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
  TRANSACTIONAL_ID_NOT_FOUND: 105,
} as const

/** What it comes to, and a name for texts: `CONCURRENT_TRANSACTIONS (51)`. */
export function errorOfCode(code: number): KnownError {
  return ERRORS[code] ?? { name: `error`, next: 'fatal' }
}

export function nextStep(code: number): NextStep {
  return errorOfCode(code).next
}

/** For messages: its name and number. */
export function describeCode(code: number): string {
  return `${errorOfCode(code).name} (${code})`
}

const ERRORS: Readonly<Record<number, KnownError>> = {
  [-1]: { name: 'UNKNOWN_SERVER_ERROR', next: 'fatal' },
  0: { name: 'NONE', next: 'done' },
  1: { name: 'OFFSET_OUT_OF_RANGE', next: 'lost' },
  // A batch was damaged on its way to the broker.
  2: { name: 'CORRUPT_MESSAGE', next: 'retry' },
  // Also for a moment after a topic was created; who asks decides how long that may last.
  3: { name: 'UNKNOWN_TOPIC_OR_PARTITION', next: 'refresh-metadata' },
  5: { name: 'LEADER_NOT_AVAILABLE', next: 'refresh-metadata' },
  6: { name: 'NOT_LEADER_OR_FOLLOWER', next: 'refresh-metadata' },
  7: { name: 'REQUEST_TIMED_OUT', next: 'retry' },
  8: { name: 'BROKER_NOT_AVAILABLE', next: 'refresh-metadata' },
  9: { name: 'REPLICA_NOT_AVAILABLE', next: 'refresh-metadata' },
  10: { name: 'MESSAGE_TOO_LARGE', next: 'fatal' },
  12: { name: 'OFFSET_METADATA_TOO_LARGE', next: 'fatal' },
  13: { name: 'NETWORK_EXCEPTION', next: 'refresh-metadata' },
  14: { name: 'COORDINATOR_LOAD_IN_PROGRESS', next: 'retry' },
  15: { name: 'COORDINATOR_NOT_AVAILABLE', next: 'refresh-coordinator' },
  16: { name: 'NOT_COORDINATOR', next: 'refresh-coordinator' },
  17: { name: 'INVALID_TOPIC_EXCEPTION', next: 'fatal' },
  18: { name: 'RECORD_LIST_TOO_LARGE', next: 'fatal' },
  19: { name: 'NOT_ENOUGH_REPLICAS', next: 'retry' },
  20: { name: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', next: 'retry' },
  21: { name: 'INVALID_REQUIRED_ACKS', next: 'fatal' },
  22: { name: 'ILLEGAL_GENERATION', next: 'fatal' },
  24: { name: 'INVALID_GROUP_ID', next: 'fatal' },
  // The group has members, which our own commits to it have not.
  25: { name: 'UNKNOWN_MEMBER_ID', next: 'fatal' },
  27: { name: 'REBALANCE_IN_PROGRESS', next: 'retry' },
  28: { name: 'INVALID_COMMIT_OFFSET_SIZE', next: 'fatal' },
  29: { name: 'TOPIC_AUTHORIZATION_FAILED', next: 'fatal' },
  30: { name: 'GROUP_AUTHORIZATION_FAILED', next: 'fatal' },
  31: { name: 'CLUSTER_AUTHORIZATION_FAILED', next: 'fatal' },
  32: { name: 'INVALID_TIMESTAMP', next: 'fatal' },
  35: { name: 'UNSUPPORTED_VERSION', next: 'fatal' },
  42: { name: 'INVALID_REQUEST', next: 'fatal' },
  43: { name: 'UNSUPPORTED_FOR_MESSAGE_FORMAT', next: 'fatal' },
  44: { name: 'POLICY_VIOLATION', next: 'fatal' },
  // A batch before this one is missing.
  45: { name: 'OUT_OF_ORDER_SEQUENCE_NUMBER', next: 'lost' },
  // The batch is in the log already.
  46: { name: 'DUPLICATE_SEQUENCE_NUMBER', next: 'done' },
  47: { name: 'INVALID_PRODUCER_EPOCH', next: 'fenced' },
  48: { name: 'INVALID_TXN_STATE', next: 'lost' },
  49: { name: 'INVALID_PRODUCER_ID_MAPPING', next: 'lost' },
  50: { name: 'INVALID_TRANSACTION_TIMEOUT', next: 'fatal' },
  51: { name: 'CONCURRENT_TRANSACTIONS', next: 'retry' },
  // Of an old coordinator, between brokers; a client that sees it asks the new one.
  52: { name: 'TRANSACTION_COORDINATOR_FENCED', next: 'refresh-coordinator' },
  53: { name: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', next: 'fatal' },
  54: { name: 'SECURITY_DISABLED', next: 'fatal' },
  // Another partition of the same request failed: that one's code says why.
  55: { name: 'OPERATION_NOT_ATTEMPTED', next: 'retry' },
  56: { name: 'KAFKA_STORAGE_ERROR', next: 'refresh-metadata' },
  58: { name: 'SASL_AUTHENTICATION_FAILED', next: 'fatal' },
  59: { name: 'UNKNOWN_PRODUCER_ID', next: 'lost' },
  68: { name: 'NON_EMPTY_GROUP', next: 'fatal' },
  69: { name: 'GROUP_ID_NOT_FOUND', next: 'lost' },
  72: { name: 'LISTENER_NOT_FOUND', next: 'refresh-metadata' },
  74: { name: 'FENCED_LEADER_EPOCH', next: 'refresh-metadata' },
  // The broker is behind: its metadata, not ours.
  75: { name: 'UNKNOWN_LEADER_EPOCH', next: 'retry' },
  76: { name: 'UNSUPPORTED_COMPRESSION_TYPE', next: 'fatal' },
  78: { name: 'OFFSET_NOT_AVAILABLE', next: 'retry' },
  87: { name: 'INVALID_RECORD', next: 'fatal' },
  88: { name: 'UNSTABLE_OFFSET_COMMIT', next: 'retry' },
  89: { name: 'THROTTLING_QUOTA_EXCEEDED', next: 'retry' },
  90: { name: 'PRODUCER_FENCED', next: 'fenced' },
  // The broker does not know the id yet, or no longer.
  100: { name: 'UNKNOWN_TOPIC_ID', next: 'refresh-metadata' },
  103: { name: 'INCONSISTENT_TOPIC_ID', next: 'refresh-metadata' },
  105: { name: 'TRANSACTIONAL_ID_NOT_FOUND', next: 'lost' },
  109: { name: 'OFFSET_MOVED_TO_TIERED_STORAGE', next: 'retry' },
  110: { name: 'FENCED_MEMBER_EPOCH', next: 'fatal' },
  113: { name: 'STALE_MEMBER_EPOCH', next: 'fatal' },
  120: { name: 'TRANSACTION_ABORTABLE', next: 'lost' },
  129: { name: 'REBOOTSTRAP_REQUIRED', next: 'refresh-metadata' },
}
