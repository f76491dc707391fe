import { testSink } from '../../conformance/sink.ts'
import { fileEnvironment } from './file-environment.ts'

testSink('file', { create: () => fileEnvironment() })
testSink('file, a part per few lines', { create: () => fileEnvironment({ maxPartBytes: 4 * 1024 }) })
testSink('file, gzip', { create: () => fileEnvironment({ compression: 'gzip' }) })
testSink('file, zstd, a part per few lines', {
  create: () => fileEnvironment({ compression: 'zstd', maxPartBytes: 4 * 1024 }),
})

testSink('file, when full, or too old at once', {
  create: () => fileEnvironment({ rolling: 'when-full', maxPartAgeMs: 0 }),
})
testSink('file, when full', { create: () => fileEnvironment({ rolling: 'when-full' }), holdsBack: true })
testSink('file, when full, as some parts are', {
  create: () => fileEnvironment({ rolling: 'when-full', maxPartBytes: 100 }),
  holdsBack: true,
})
testSink('file, when full, gzip', {
  create: () => fileEnvironment({ rolling: 'when-full', compression: 'gzip' }),
  holdsBack: true,
})
testSink('file, when full, zstd', {
  create: () => fileEnvironment({ rolling: 'when-full', compression: 'zstd' }),
  holdsBack: true,
})
