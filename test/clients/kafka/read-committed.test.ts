/** The filter of read_committed against a model: random logs of interleaved transactions, fetched from anywhere to anywhere. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { committedBatches, type AbortedTransaction } from '../../../clients/kafka/read-committed.ts'
import type { RecordBatch } from '../../../clients/kafka/wire/record-batch.ts'
import { readBatches } from '../../../clients/kafka/wire/record-batch.ts'
import { RecordBatchWriter } from '../../../clients/kafka/wire/record-batch-writer.ts'

type Event =
  | { readonly kind: 'write'; readonly producer: number; readonly records: number; readonly isTransactional: boolean }
  | { readonly kind: 'end'; readonly producer: number; readonly isCommit: boolean }

interface Entry {
  readonly batch: RecordBatch
  /** What the transaction of the batch came to; undefined: it has none. */
  outcome: 'committed' | 'aborted' | 'open' | undefined
}

const FIRST_CONTROL_TYPE_AT = 2

/** Bytes of a batch as a log holds it: at an offset, with its attributes. */
function stored(event: Event, offset: number): RecordBatch {
  const writer = new RecordBatchWriter()
  const isMarker = event.kind === 'end'
  const marker = Buffer.alloc(4)
  if (isMarker) marker.writeInt16BE(event.isCommit ? 1 : 0, FIRST_CONTROL_TYPE_AT)
  const count = isMarker ? 1 : event.records
  for (let index = 0; index < count; index += 1) {
    writer.append({ key: isMarker ? marker : Buffer.alloc(4), value: Buffer.alloc(6), timestamp: 0 })
  }
  const isTransactional = isMarker || event.isTransactional
  const identity = { producerId: event.producer, producerEpoch: 0, baseSequence: 0, isTransactional }
  const bytes = writer.finish(identity)
  bytes.writeInt32BE(offset, 4)
  const [batch] = readBatches(bytes)
  if (batch === undefined) throw new Error('no batch')
  return { ...batch, isControl: isMarker }
}

function logOf(events: readonly Event[]): {
  readonly entries: readonly Entry[]
  readonly aborted: readonly (AbortedTransaction & { readonly lastOffset: number })[]
  readonly lastStableOffset: number
} {
  const entries: Entry[] = []
  const aborted: (AbortedTransaction & { lastOffset: number })[] = []
  const open = new Map<number, Entry[]>()
  let offset = 0
  for (const event of events) {
    const written = open.get(event.producer)
    // A producer writes outside of transactions only while it has none.
    if (event.kind === 'write' && !event.isTransactional && written !== undefined) continue
    if (event.kind === 'end' && written === undefined) continue
    const entry: Entry = { batch: stored(event, offset), outcome: undefined }
    entries.push(entry)
    offset = entry.batch.lastOffset + 1
    if (event.kind === 'end') {
      const first = written?.[0]?.batch.baseOffset ?? 0
      for (const one of written ?? []) one.outcome = event.isCommit ? 'committed' : 'aborted'
      if (!event.isCommit)
        aborted.push({ producerId: event.producer, firstOffset: first, lastOffset: entry.batch.lastOffset })
      open.delete(event.producer)
    } else if (event.isTransactional) {
      entry.outcome = 'open'
      if (written === undefined) open.set(event.producer, [entry])
      else written.push(entry)
    }
  }
  const firstOpen = [...open.values()].map((written) => written[0]?.batch.baseOffset ?? 0)
  return { entries, aborted, lastStableOffset: Math.min(offset, ...firstOpen) }
}

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      producer: fc.nat(3),
      records: fc.integer({ min: 1, max: 3 }),
      isTransactional: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('end' as const), producer: fc.nat(3), isCommit: fc.boolean() }),
  },
)

test('what was committed is shown and nothing else, from wherever to wherever a fetch goes', () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      fc.nat(40),
      fc.nat(40),
      fc.boolean(),
      (events, from, length, isReversed) => {
        const { entries, aborted, lastStableOffset } = logOf(events)
        const sent = entries.slice(from, from + length).filter(({ batch }) => batch.lastOffset < lastStableOffset)
        const first = sent[0]?.batch.baseOffset ?? 0
        const last = sent.at(-1)?.batch.lastOffset ?? -1
        // As the broker: every aborted transaction that overlaps what is sent, in no order that is promised.
        const listed = aborted.filter((one) => one.firstOffset <= last && one.lastOffset >= first)
        const shown = committedBatches(
          sent.map(({ batch }) => batch),
          isReversed ? listed.toReversed() : listed,
        )
        const right = sent.filter(({ batch, outcome }) => !batch.isControl && outcome !== 'aborted')
        expect(shown.map(({ baseOffset }) => baseOffset)).toEqual(right.map(({ batch }) => batch.baseOffset))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('an aborted record whose key is that of an abort marker ends nothing', () => {
  const write: Event = { kind: 'write', producer: 1, records: 3, isTransactional: true }
  const { entries, aborted } = logOf([write, write, { kind: 'end', producer: 1, isCommit: false }])
  expect(aborted).toHaveLength(1)
  expect(
    committedBatches(
      entries.map(({ batch }) => batch),
      aborted,
    ),
  ).toEqual([])
})
