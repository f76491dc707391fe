/** Messages as our types say them, for each sample that the Java client wrote (vectors/samples.json). */
import { ADD_OFFSETS_TO_TXN, ADD_PARTITIONS_TO_TXN } from '../../../../clients/kafka/wire/add-to-transaction.ts'
import { ByteReader } from '../../../../clients/kafka/wire/byte-reader.ts'
import { ByteWriter } from '../../../../clients/kafka/wire/byte-writer.ts'
import { END_TXN } from '../../../../clients/kafka/wire/end-transaction.ts'
import { FETCH, type FetchedPartition, type FetchRequest } from '../../../../clients/kafka/wire/fetch.ts'
import { FIND_COORDINATOR } from '../../../../clients/kafka/wire/find-coordinator.ts'
import { OFFSET_COMMIT, OFFSET_FETCH, TXN_OFFSET_COMMIT } from '../../../../clients/kafka/wire/group-offsets.ts'
import { INIT_PRODUCER_ID } from '../../../../clients/kafka/wire/init-producer-id.ts'
import { LATEST, LIST_OFFSETS } from '../../../../clients/kafka/wire/list-offsets.ts'
import { METADATA } from '../../../../clients/kafka/wire/metadata.ts'
import { PRODUCE } from '../../../../clients/kafka/wire/produce.ts'
import type { Api } from '../../../../clients/kafka/wire/request.ts'
import { DESCRIBE_TRANSACTIONS, LIST_TRANSACTIONS } from '../../../../clients/kafka/wire/transaction-states.ts'

const TOPIC_ID = 'AQIDBAUGBwgJCgsMDQ4PEA'
const NO_TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
const BIG = 5_000_000_000
const producer = { transactionalId: 'id-1', producerId: 4_000, producerEpoch: 3 }

const listed = {
  states: ['Ongoing', 'PrepareCommit'] as const,
  producerIds: [4_000],
}

const fetch: FetchRequest = {
  maxWaitMs: 500,
  minBytes: 1,
  maxBytes: 1_048_576,
  isolation: 'read_committed',
  rackId: 'a',
  topics: [
    {
      name: 'orders',
      topicId: TOPIC_ID,
      partitions: [
        { partition: 0, leaderEpoch: 5, offset: BIG, maxBytes: 65_536 },
        { partition: 1, leaderEpoch: -1, offset: 0, maxBytes: 65_536 },
      ],
    },
  ],
}
const fetched: readonly FetchedPartition[] = [
  {
    partition: 0,
    errorCode: 0,
    highWatermark: 100,
    lastStableOffset: 90,
    logStartOffset: 2,
    abortedTransactions: [
      { producerId: 4_000, firstOffset: 50 },
      { producerId: 4_001, firstOffset: 60 },
    ],
    preferredReadReplica: -1,
    records: Buffer.from([1, 2, 3, 4]),
  },
  {
    partition: 1,
    errorCode: 6,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: [],
    preferredReadReplica: 2,
    records: Buffer.alloc(0),
  },
]
const fetchResponse = (name: string, topicId: string) => ({
  throttleTimeMs: 3,
  errorCode: 0,
  topics: [{ name, topicId, partitions: fetched }],
})

const listOffsets = {
  isolation: 'read_committed' as const,
  timeoutMs: 30_000,
  topics: [
    {
      name: 'orders',
      partitions: [
        { partition: 0, leaderEpoch: -1, timestamp: LATEST },
        { partition: 1, leaderEpoch: 4, timestamp: 1_700_000_000_000 },
      ],
    },
  ],
}

const note = { partition: 0, offset: BIG, leaderEpoch: -1, metadata: 'note' }
const answered = (partitions: readonly { readonly partition: number; readonly errorCode: number }[]) => ({
  throttleTimeMs: 4,
  topics: [{ name: 'orders', partitions }],
})

/** In the order of samples.json: what we would ask, or what we must read; each for all the versions named there. */
export const cases: readonly Case[] = [
  request(METADATA, 'Metadata', { topics: ['orders', 'ä'] }),
  request(METADATA, 'Metadata', { topics: null }),
  response(METADATA, 'Metadata', {
    throttleTimeMs: 7,
    brokers: [
      { nodeId: 1, host: 'one.example', port: 9092 },
      { nodeId: 2, host: 'two.example', port: 9093 },
    ],
    clusterId: 'cluster',
    controllerId: 2,
    topics: [
      {
        errorCode: 0,
        name: 'orders',
        topicId: TOPIC_ID,
        isInternal: false,
        partitions: [
          { errorCode: 0, partition: 0, leader: 1, leaderEpoch: 5 },
          { errorCode: 5, partition: 1, leader: -1, leaderEpoch: -1 },
        ],
      },
      { errorCode: 3, name: 'gone', topicId: NO_TOPIC_ID, isInternal: true, partitions: [] },
    ],
  }),
  request(FIND_COORDINATOR, 'FindCoordinator', { kind: 'transaction', keys: ['id-1', 'id-2'] }),
  request(FIND_COORDINATOR, 'FindCoordinator', { kind: 'group', keys: ['group'] }),
  response(FIND_COORDINATOR, 'FindCoordinator', {
    throttleTimeMs: 1,
    coordinators: [
      { key: 'id-1', nodeId: 3, host: 'three.example', port: 9094, errorCode: 0, errorMessage: null },
      { key: 'id-2', nodeId: -1, host: '', port: -1, errorCode: 15, errorMessage: 'not now' },
    ],
  }),
  request(PRODUCE, 'Produce', {
    transactionalId: 'id-1',
    acks: -1,
    timeoutMs: 30_000,
    topics: [
      {
        name: 'orders',
        partitions: [
          { partition: 0, batch: Buffer.from([1, 2, 3]) },
          { partition: 3, batch: Buffer.from([4, 5]) },
        ],
      },
    ],
  }),
  request(PRODUCE, 'Produce', { transactionalId: null, acks: 1, timeoutMs: 1, topics: [] }),
  response(PRODUCE, 'Produce', {
    throttleTimeMs: 9,
    topics: [
      {
        name: 'orders',
        partitions: [
          { partition: 0, errorCode: 0, errorMessage: null, baseOffset: BIG, logStartOffset: 3 },
          { partition: 3, errorCode: 87, errorMessage: 'invalid record', baseOffset: -1, logStartOffset: -1 },
        ],
      },
    ],
  }),
  request(FETCH, 'Fetch', fetch),
  request(FETCH, 'Fetch', fetch),
  response(FETCH, 'Fetch', fetchResponse('orders', '')),
  response(FETCH, 'Fetch', fetchResponse('', TOPIC_ID)),
  response(FETCH, 'Fetch', fetchResponse('', TOPIC_ID)),
  request(LIST_OFFSETS, 'ListOffsets', listOffsets),
  request(LIST_OFFSETS, 'ListOffsets', listOffsets),
  response(LIST_OFFSETS, 'ListOffsets', {
    throttleTimeMs: 0,
    topics: [
      {
        name: 'orders',
        partitions: [
          { partition: 0, errorCode: 0, timestamp: -1, offset: BIG, leaderEpoch: 2 },
          { partition: 1, errorCode: 6, timestamp: -1, offset: -1, leaderEpoch: -1 },
        ],
      },
    ],
  }),
  request(INIT_PRODUCER_ID, 'InitProducerId', {
    transactionalId: 'id-1',
    transactionTimeoutMs: 60_000,
    producerId: -1,
    producerEpoch: -1,
  }),
  request(INIT_PRODUCER_ID, 'InitProducerId', {
    transactionalId: null,
    transactionTimeoutMs: 60_000,
    producerId: BIG,
    producerEpoch: 7,
  }),
  response(INIT_PRODUCER_ID, 'InitProducerId', {
    throttleTimeMs: 0,
    errorCode: 51,
    producerId: BIG,
    producerEpoch: 8,
  }),
  request(ADD_PARTITIONS_TO_TXN, 'AddPartitionsToTxn', {
    ...producer,
    topics: [
      { name: 'orders', partitions: [0, 3] },
      { name: 'totals', partitions: [1] },
    ],
  }),
  response(ADD_PARTITIONS_TO_TXN, 'AddPartitionsToTxn', {
    throttleTimeMs: 2,
    topics: [
      {
        name: 'orders',
        partitions: [
          { partition: 0, errorCode: 0 },
          { partition: 3, errorCode: 55 },
        ],
      },
    ],
  }),
  request(ADD_OFFSETS_TO_TXN, 'AddOffsetsToTxn', { ...producer, groupId: 'group' }),
  response(ADD_OFFSETS_TO_TXN, 'AddOffsetsToTxn', { throttleTimeMs: 0, errorCode: 48 }),
  request(END_TXN, 'EndTxn', { ...producer, commits: true }),
  request(END_TXN, 'EndTxn', { ...producer, commits: false }),
  response(END_TXN, 'EndTxn', { throttleTimeMs: 0, errorCode: 47, producerId: -1, producerEpoch: -1 }),
  response(END_TXN, 'EndTxn', { throttleTimeMs: 0, errorCode: 0, producerId: 4_000, producerEpoch: 4 }),
  request(DESCRIBE_TRANSACTIONS, 'DescribeTransactions', { transactionalIds: ['id-1', 'id-2'] }),
  response(DESCRIBE_TRANSACTIONS, 'DescribeTransactions', {
    throttleTimeMs: 0,
    transactions: [
      {
        errorCode: 0,
        ...producer,
        state: 'Ongoing',
        timeoutMs: 60_000,
        startedAtMs: 1_700_000_000_000,
        topics: [{ name: 'orders', partitions: [0, 3] }],
      },
      {
        errorCode: 105,
        transactionalId: 'id-2',
        state: undefined,
        timeoutMs: 0,
        startedAtMs: 0,
        producerId: 0,
        producerEpoch: 0,
        topics: [],
      },
    ],
  }),
  request(LIST_TRANSACTIONS, 'ListTransactions', listed),
  request(LIST_TRANSACTIONS, 'ListTransactions', listed),
  request(LIST_TRANSACTIONS, 'ListTransactions', listed),
  response(LIST_TRANSACTIONS, 'ListTransactions', {
    throttleTimeMs: 0,
    errorCode: 0,
    transactions: [
      { transactionalId: 'id-1', producerId: 4_000, state: 'Ongoing' },
      { transactionalId: 'id-2', producerId: 4_001, state: 'CompleteAbort' },
    ],
  }),
  request(OFFSET_COMMIT, 'OffsetCommit', {
    groupId: 'group',
    topics: [{ name: 'orders', partitions: [note, { partition: 1, offset: 1, leaderEpoch: 2, metadata: null }] }],
  }),
  response(
    OFFSET_COMMIT,
    'OffsetCommit',
    answered([
      { partition: 0, errorCode: 0 },
      { partition: 1, errorCode: 28 },
    ]),
  ),
  request(TXN_OFFSET_COMMIT, 'TxnOffsetCommit', {
    ...producer,
    groupId: 'group',
    topics: [{ name: 'orders', partitions: [note] }],
  }),
  response(TXN_OFFSET_COMMIT, 'TxnOffsetCommit', answered([{ partition: 0, errorCode: 48 }])),
  request(OFFSET_FETCH, 'OffsetFetch', {
    requireStable: true,
    groups: [
      { groupId: 'group', topics: [{ name: 'orders', partitions: [0, 1] }] },
      { groupId: 'other', topics: null },
    ],
  }),
  request(OFFSET_FETCH, 'OffsetFetch', {
    requireStable: true,
    groups: [
      { groupId: 'group', topics: [{ name: 'orders', partitions: [0, 1] }] },
      { groupId: 'other', topics: null },
    ],
  }),
  response(OFFSET_FETCH, 'OffsetFetch', {
    throttleTimeMs: 0,
    groups: [
      {
        groupId: 'group',
        errorCode: 0,
        topics: [
          {
            name: 'orders',
            partitions: [
              { ...note, errorCode: 0 },
              { partition: 1, offset: -1, leaderEpoch: -1, metadata: '', errorCode: 88 },
            ],
          },
        ],
      },
    ],
  }),
]

export interface Case {
  readonly type: string
  readonly versions: readonly [number, number]
  /** What we make of it, and what it must be: a request in bytes, an answer as an object with what is left of it. */
  compare(bytes: Buffer, version: number): { readonly ours: unknown; readonly right: unknown }
  decode(bytes: Buffer, version: number): unknown
}

function request<Q, A>(api: Api<Q, A>, name: string, content: Q): Case {
  return {
    type: `${name}Request`,
    versions: [api.minVersion, api.maxVersion],
    compare(bytes, version) {
      const writer = new ByteWriter(1)
      api.encode(writer, content, version)
      return { ours: writer.written.toString('hex'), right: bytes.toString('hex') }
    },
    decode: () => undefined,
  }
}

function response<Q, A>(api: Api<Q, A>, name: string, content: A): Case {
  return {
    type: `${name}Response`,
    versions: [api.minVersion, api.maxVersion],
    compare(bytes, version) {
      const reader = new ByteReader(bytes)
      const ours = api.decode(reader, version)
      return { ours: { ...ours, left: reader.remaining }, right: { ...content, left: 0 } }
    },
    decode: (bytes, version) => api.decode(new ByteReader(bytes), version),
  }
}
