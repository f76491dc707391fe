/**
 * Which splits each subtask of each source reads, and from where, when an attempt begins: dealt out anew each time. A position belongs to
 * its split, whoever reads it.
 */
import { parseJobId, parseOperatorId, type Runtime, type SourceContext } from '../api/index.ts'
import { partsOf, type Manifest } from '../checkpoint/manifest.ts'
import type { JobGraph, SourceNode } from '../graph/job-graph.ts'
import { failureAt } from '../task/failure.ts'
import type { AttemptSpec, SourceShare } from '../task/host.ts'
import { dealSplits } from '../task/share.ts'
import { resolveSplits } from '../task/splits.ts'

export interface SplitsOptions {
  readonly graph: JobGraph
  readonly job: string
  readonly parallelism: number
  readonly restored: Manifest | null
  readonly dropped: readonly string[]
  readonly runtime: Runtime
  readonly baseDirectory: string
  readonly signal: AbortSignal
}

/** By source, a share for each subtask. @throws what sources throw, with their names */
export async function shareSplits(options: SplitsOptions): Promise<AttemptSpec['splits']> {
  const sources = options.graph.nodes.filter((node): node is SourceNode => node.kind === 'source')
  return Object.fromEntries(
    await Promise.all(sources.map(async (node) => [node.id, await sharesOf(node, options)] as const)),
  )
}

async function sharesOf(node: SourceNode, options: SplitsOptions): Promise<readonly SourceShare[]> {
  const { restored, dropped } = options
  const parts = partsOf(restored, node.id, dropped)
  const known = parts.flatMap((one) => one.splits ?? [])
  // It ends as a whole, and takes no new splits then: what reads it has ended too (F24).
  const hasEnded = parts.some((one) => one.ended)
  try {
    const discovered = await node.source.discover(
      { ...contextOf(node, options), isFirst: parts.length === 0 },
      known.map((one) => one.split),
    )
    const knownIds = new Set(known.map((one) => one.split.id))
    const accepted = hasEnded ? discovered.filter(({ split }) => knownIds.has(split.id)) : discovered
    const splits = resolveSplits(node.id, known, accepted)
    return dealSplits([...splits.values()], node.parallelism ?? options.parallelism).map((share) => ({
      splits: share,
      hasNewSplits: share.some(({ split }) => !knownIds.has(split.id)),
      hasEnded,
    }))
  } catch (error) {
    throw failureAt(`source "${node.id}" could not be opened`, error)
  }
}

/** For `discover`, besides whether it is the first. */
export function contextOf(
  node: SourceNode,
  { job, runtime, baseDirectory, signal }: Pick<SplitsOptions, 'job' | 'runtime' | 'baseDirectory' | 'signal'>,
): Omit<SourceContext, 'isFirst'> {
  const { clock, random, logger } = runtime
  return { job: parseJobId(job), operator: parseOperatorId(node.id), baseDirectory, clock, random, logger, signal }
}
