/** The public entry of Sluice: job definitions, formats, and the contracts for authors of sources, sinks and stores. */
export * from './api/index.ts'
export { list, map, value, type ListState, type MapState, type ValueState } from './graph/descriptors.ts'
export { buildJob, defineJob, type BuiltJob, type JobDefinition, type Plan } from './graph/define-job.ts'
export type { Settings } from './graph/settings.ts'
export type { Flow, KeyedStream, ProcessContext, ProcessFunction, Stream } from './graph/stream.ts'
export type { CheckpointPolicy } from './checkpoint/trigger.ts'
export type { RestartStrategy } from './checkpoint/restart.ts'
export { runJob, type RunEnd, type RunEvent, type RunOptions } from './coordinator/run-job.ts'
