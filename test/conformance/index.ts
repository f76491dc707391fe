/** Conformance suites for authors of sources, sinks and checkpoint stores: what the built-in ones pass, by one line each. Needs vitest. */
export * from './sink.ts'
export * from './source.ts'
export * from './store.ts'
