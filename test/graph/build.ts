/** Builds small jobs for the tests of the graph, as TypeScript or as plain JavaScript would. */
import { buildJob, TerminalError, type JobDefinition } from '../../engine/index.ts'
import type { JobNode } from '../../engine/graph/job-graph.ts'

export function nodesOf(build: JobDefinition['build']): readonly JobNode[] {
  return buildJob({ id: 'job', build }, {}).graph.nodes
}

/** With which words it is refused. */
export function refusal(build: JobDefinition['build'], rest: Partial<JobDefinition> = {}): string {
  try {
    buildJob({ id: 'job', build, ...rest }, {})
  } catch (error) {
    if (error instanceof TerminalError) return error.message
    throw error
  }
  throw new Error('it was not refused')
}

type Call = (...given: readonly unknown[]) => Untyped
export type Untyped = Readonly<Record<'map' | 'process' | 'sink' | 'keyBy' | 'union' | 'side' | 'connect', Call>>

/** A stream as plain JavaScript sees it. */
export function untyped(stream: unknown): Untyped {
  return stream as Untyped
}

export function nodeOf<Kind extends JobNode['kind']>(
  nodes: readonly JobNode[],
  id: string,
  kind: Kind,
): Extract<JobNode, { kind: Kind }> {
  const found = nodes.find((one): one is Extract<JobNode, { kind: Kind }> => one.id === id && one.kind === kind)
  if (found === undefined) throw new Error(`there is no ${kind} "${id}"`)
  return found
}
