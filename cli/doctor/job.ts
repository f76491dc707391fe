/**
 * One job: who holds it, what its log says, and, with its file, whether it could run here.
 */
import { resolve } from 'node:path'
import { messageOf, parseJobId, type CheckpointStore, type Runtime } from '../../engine/api/index.ts'
import { jobStateOf } from '../../engine/checkpoint/job-state.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { restoreText } from '../../engine/checkpoint/restore-choice.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { buildJob, type BuiltJob, type JobDefinition } from '../../engine/graph/define-job.ts'
import type { SinkNode, SourceNode } from '../../engine/graph/job-graph.ts'
import { createHolder, isHolderAlive } from '../../engine/host/holder.ts'
import { longestName } from '../../engine/task/external-name.ts'
import { checked, fail, ok, warn, type Finding } from './finding.ts'
import { placeFindings } from './place.ts'
import { entryClockFinding } from './store.ts'

/** What the log says of the job, and its newest entry. */
export async function logFindings(
  store: CheckpointStore,
  job: string,
  { runtime, named }: { readonly runtime: Runtime; readonly named: NamedBy },
): Promise<{ readonly findings: readonly Finding[]; readonly newest: LogEntry | undefined }> {
  const { newest } = await JobLog.open(store, job, runtime)
  if (newest === undefined) return { findings: [unknownFinding(job, store.uri, named)], newest }
  const findings = [
    await holderFinding(newest),
    stateFinding(newest),
    entryClockFinding(newest.at, runtime.clock.now()),
  ]
  return { findings, newest }
}

/** How the command names the job. */
export type NamedBy = 'id' | 'file'

/** A job file may be new; an id of which nothing is known may be a slip of the pen. */
export function unknownFinding(job: string, store: string, named: NamedBy): Finding {
  const message = `${job} has not run in ${store}`
  if (named === 'file') return ok('job', message)
  return warn('job', message, 'look at the id, or name the store of its run with --store')
}

async function holderFinding(newest: LogEntry): Promise<Finding> {
  const { holder, generation, job } = newest
  const whom = `process ${holder.pid} on ${holder.host} (generation ${generation})`
  if (newest.kind === 'ended') return ok('holder', `nobody runs ${job}; the last was ${whom}`)
  await using me = await createHolder()
  const alive = await isHolderAlive(holder, me.identity)
  if (alive === true) return ok('holder', `${job} is run by ${whom}`)
  if (alive === false)
    return ok('holder', `nobody runs ${job}; ${whom} ended without a word, the next run recovers from it`)
  return warn(
    'holder',
    `whether ${whom} still runs ${job} cannot be seen from here`,
    'look at it there; a run here watches the log first',
  )
}

function stateFinding(newest: LogEntry): Finding {
  const last = newest.retained.at(-1)
  const state = `${jobStateOf(newest)}, ${last === undefined ? 'no checkpoint yet' : `last checkpoint ${last.checkpoint}`}`
  if (newest.restoring !== undefined) {
    const what = restoreText(newest.restoring)
    return warn('state', `${state}; --restore ${what} was begun and is not done`, `run it again with --restore ${what}`)
  }
  if (newest.end?.state === 'FAILED') {
    return warn(
      'state',
      `${state}: ${newest.end.reason ?? 'no reason given'}`,
      'see the reason; the next run begins from the last checkpoint',
    )
  }
  return ok('state', state)
}

export interface Surroundings {
  readonly runtime: Runtime
  readonly newest: LogEntry | undefined
  readonly settings: Readonly<Record<string, string>>
}

/** Could it run here? Builds it, and asks its sources and sinks; only reads. */
export async function definitionFindings(definition: JobDefinition, around: Surroundings): Promise<readonly Finding[]> {
  let built: BuiltJob
  try {
    built = buildJob(definition, around.settings, around.newest?.settings)
  } catch (error) {
    return [fail('build', messageOf(error), 'mend the job file, or give what it asks for with --set')]
  }
  const { plan, planHash, graph } = built
  const findings: Finding[] = [ok('build', `builds, plan ${planHash}`)]
  for (const { source, sink, guarantee, weakest } of plan.paths) {
    const hop = weakest === null ? '' : ` (weakest: ${weakest})`
    findings.push(ok('guarantee', `${source} -> ${sink}: ${guarantee}${hop}`))
  }
  for (const node of graph.nodes) {
    if (node.kind !== 'source' && node.kind !== 'sink') continue
    findings.push(...(await checked(node.kind, () => connectorFindings(node, definition, around))))
  }
  return findings
}

async function connectorFindings(
  node: SourceNode | SinkNode,
  definition: JobDefinition,
  { runtime }: Surroundings,
): Promise<readonly Finding[]> {
  const job = parseJobId(definition.id)
  const parallelism = node.parallelism ?? definition.parallelism ?? 1
  const { signal } = new AbortController()
  const baseDirectory = process.cwd()
  const context = { job, operator: node.id, parallelism, baseDirectory, logger: runtime.logger, signal }
  try {
    if (node.kind === 'source') await node.source.validate(context)
    else {
      const checkpoint = { ...DEFAULT_CHECKPOINT_POLICY, ...definition.checkpoint }
      await node.sink.validate({ ...context, checkpoint, longestName: longestName(job, node.id) })
    }
  } catch (error) {
    return [fail(node.kind, `"${node.id}": ${messageOf(error)}`, `a run is refused with this; make it right first`)]
  }
  const fine = ok(
    node.kind,
    `"${node.id}" (${node.kind === 'source' ? node.source.kind : node.sink.kind}) says that it can work`,
  )
  const directory = node.kind === 'sink' ? outputOf(node) : undefined
  if (directory === undefined) return [fine]
  return [fine, ...(await placeFindings('output', resolve(baseDirectory, directory), { isShared: true }))]
}

/** Where a file sink writes, as its scope says. */
function outputOf({ sink }: SinkNode): string | undefined {
  if (sink.kind !== 'file') return undefined
  const scope: unknown = JSON.parse(new TextDecoder().decode(sink.scope(1)))
  const isPlace = typeof scope === 'object' && scope !== null && 'directory' in scope
  return isPlace && typeof scope.directory === 'string' ? scope.directory : undefined
}
