import { testSink } from '../../conformance/sink.ts'
import { kafkaEnvironment } from './kafka-environment.ts'

testSink('kafka', { create: async () => await kafkaEnvironment() })
