/** Conformance suites for authors of sinks and checkpoint stores: what the built-in ones pass, by one line each. Needs vitest. */
export * from './sink.ts'
export * from './store.ts'
