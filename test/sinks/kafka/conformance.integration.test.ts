import { testSink } from '../../conformance/sink.ts'
import { kafkaEnvironment } from './kafka-environment.ts'

testSink('kafka', { create: async () => await kafkaEnvironment() })
testSink('kafka, small batches, lz4', {
  create: async () => await kafkaEnvironment({ maxBatchBytes: 2_000, compression: 'lz4', lingerMs: 0 }),
})
