import { testSink } from '../../conformance/sink.ts'
import { fileEnvironment } from './file-environment.ts'

testSink('file', { create: () => fileEnvironment() })
testSink('file, a part per few lines', { create: () => fileEnvironment({ maxPartBytes: 4 * 1024 }) })
