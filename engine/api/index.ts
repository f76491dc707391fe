/** The contract of the engine with sources, sinks and stores; imports nothing of the engine. */
export * from './clock.ts'
export * from './context.ts'
export * from './errors.ts'
export * from './ids.ts'
export * from './record.ts'
export * from './sink.ts'
export * from './source.ts'
export * from './store.ts'
