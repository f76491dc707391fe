/**
 * Which batches of a fetch a reader with read_committed may see. A pure function of one answer: the broker lists every aborted transaction
 * that reaches into what it sends, so nothing is carried from one fetch to the next.
 */
import { malformed } from './wire/malformed.ts'
import type { RecordBatch } from './wire/record-batch.ts'
import { RecordColumns } from './wire/record-columns.ts'

export interface AbortedTransaction {
  readonly producerId: number
  /** Of its first record in this partition. */
  readonly firstOffset: number
}

/**
 * The batches that hold records of users, without those of aborted transactions, and without markers. The position moves over all of them
 * all the same: to the `lastOffset` of the last of `batches` plus one.
 *
 * A producer is aborted from the first offset of such a transaction up to its next abort marker; a later transaction of the same producer
 * has an entry of its own. An aborted producer's batches that are not transactional are not touched.
 */
export function committedBatches(
  batches: readonly RecordBatch[],
  aborted: readonly AbortedTransaction[],
): readonly RecordBatch[] {
  if (aborted.length === 0) return batches.filter((batch) => !batch.isControl)
  const due = aborted.toSorted((one, other) => one.firstOffset - other.firstOffset)
  const abortedProducers = new Set<number>()
  let next = 0
  return batches.filter((batch) => {
    for (let transaction = due[next]; transaction !== undefined; transaction = due[next]) {
      if (transaction.firstOffset > batch.lastOffset) break
      abortedProducers.add(transaction.producerId)
      next += 1
    }
    if (batch.isControl) {
      if (abortedProducers.has(batch.producerId) && markerOf(batch) === 'abort')
        abortedProducers.delete(batch.producerId)
      return false
    }
    return !(batch.isTransactional && abortedProducers.has(batch.producerId))
  })
}

/** `other`: of a kind that we do not know, to be passed over. */
export type Marker = 'abort' | 'commit' | 'other'

const marker = new RecordColumns()
const MARKER_KEY_BYTES = 4
const ABORT = 0
const COMMIT = 1

/** What a control batch says: its one record has a key of a version and a type. */
export function markerOf(batch: RecordBatch): Marker {
  marker.fill(batch)
  const key = marker.keyAt(0)
  if (key === null || key.length < MARKER_KEY_BYTES) {
    throw malformed(`the control batch at offset ${batch.baseOffset} has no marker`)
  }
  const type = key.readInt16BE(2)
  if (type === ABORT) return 'abort'
  return type === COMMIT ? 'commit' : 'other'
}
