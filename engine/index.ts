/** The public entry of Sluice: job definitions, formats, and the contracts for authors of sources, sinks and stores. */
export * from './api/index.ts'
export {
  broadcastMap,
  list,
  map,
  splitList,
  unionList,
  value,
  type BroadcastMapDescriptor,
  type DeepReadonly,
  type ElementKey,
  type ListDescriptor,
  type ListState,
  type MapDescriptor,
  type MapState,
  type ReadonlyMapState,
  type SplitListDescriptor,
  type UnionListDescriptor,
  type ValueDescriptor,
  type ValueState,
} from './graph/descriptors.ts'
export type { OperatorStateDescriptor, StateDescriptor } from './graph/job-graph.ts'
export { buildJob, defineJob, type BuiltJob, type JobDefinition } from './graph/define-job.ts'
export type { Plan, PlanEdge, PlanOperator, PlanPath } from './graph/plan.ts'
export type { Settings } from './graph/settings.ts'
export {
  type,
  type BroadcastConnectedStreams,
  type BroadcastContext,
  type BroadcastFunction,
  type BroadcastReader,
  type BroadcastState,
  type BroadcastStream,
  type ConnectedStreams,
  type ConnectFunction,
  type Emitter,
  type Flow,
  type KeyedBroadcastConnectedStreams,
  type KeyedBroadcastFunction,
  type KeyedConnectedStreams,
  type KeyedConnectFunction,
  type KeyedState,
  type KeyedStream,
  type OperatorContext,
  type OperatorFunction,
  type OperatorOptions,
  type OperatorState,
  type OperatorStream,
  type ProcessContext,
  type ProcessFunction,
  type RecordContext,
  type Stream,
  type Type,
} from './graph/stream.ts'
export type { CheckpointPolicy } from './checkpoint/trigger.ts'
export type { RestartStrategy } from './checkpoint/restart.ts'
export {
  CheckpointRequests,
  type CheckpointMilestone,
  type CheckpointOutcome,
} from './coordinator/checkpoint-requests.ts'
export type { Progress, SinkProgress, SourceProgress } from './coordinator/progress.ts'
export type { JobState } from './checkpoint/job-state.ts'
export type { Figure } from './task/figures.ts'
export type { CheckpointTimes } from './coordinator/attempt.ts'
export type { EndState, HolderControl, HolderIdentity, LogHead } from './checkpoint/log-entry.ts'
export type { SessionEnd } from './coordinator/session.ts'
export { runJob, type RunEnd, type RunEvent, type RunOptions } from './coordinator/run-job.ts'
export type { Restoring } from './checkpoint/restore-choice.ts'
export type { RepeatedSplit, Repetition } from './checkpoint/repetition.ts'
export type { BlobReference } from './checkpoint/manifest.ts'
export type { SavepointDescription } from './checkpoint/savepoint.ts'
export type { Restore } from './coordinator/restoration.ts'
export { createHolder, isHolderAlive, type Holder } from './host/holder.ts'
export { nodeRuntime } from './host/node-runtime.ts'
export { copyCheckpoint, type Copied, type CopyOptions } from './coordinator/copy-checkpoint.ts'
export { openSavepoint, type Savepoint } from './coordinator/savepoint.ts'
