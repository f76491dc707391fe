/**
 * `sluice doctor`: looks at everything that a run needs before it is needed, and says for each what would help.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { openStore } from '../checkpoint-store/open-store.ts'
import { messageOf, parseJobId, type CheckpointStore, type Runtime } from '../engine/api/index.ts'
import type { LogEntry } from '../engine/checkpoint/log-entry.ts'
import type { JobDefinition } from '../engine/graph/define-job.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { parseSettings } from './arguments.ts'
import { checked, fail, ok, type Finding } from './doctor/finding.ts'
import { definitionFindings, logFindings, unknownFinding, type NamedBy } from './doctor/job.ts'
import { machineFindings } from './doctor/machine.ts'
import { placeFindings } from './doctor/place.ts'
import { directoryOf, storeFindings } from './doctor/store.ts'
import { loadJob } from './load-job.ts'
import { tableOf } from './table.ts'

export interface DoctorFlags {
  readonly store: string
  readonly set?: readonly string[]
  readonly json?: boolean
}

/** @returns the exit code: 1 when something is in the way */
export async function doctor(job: string | undefined, flags: DoctorFlags): Promise<number> {
  const settings = parseSettings(flags.set ?? [])
  const file = job !== undefined && /\.[cm]?[jt]s$/.test(job) ? job : undefined
  // What is no id at all is a wrong command, not a finding.
  if (job !== undefined && file === undefined) parseJobId(job)
  const runtime = nodeRuntime()
  const findings: Finding[] = [...(await machineFindings())]
  const loaded = file === undefined ? undefined : await loadedJob(file)
  findings.push(...(loaded?.findings ?? []))
  const definition = loaded?.definition
  const named = file === undefined ? 'id' : 'file'
  const looked = await storeAndLog(flags.store, named === 'id' ? job : definition?.id, { runtime, named })
  findings.push(...looked.findings)
  if (definition !== undefined) {
    const around = { runtime, newest: looked.newest, settings }
    findings.push(...(await checked('build', () => definitionFindings(definition, around))))
  }
  const isFine = findings.every(({ state }) => state !== 'fail')
  process.stdout.write(flags.json === true ? `${JSON.stringify({ ok: isFine, findings })}\n` : textOf(findings))
  return isFine ? 0 : 1
}

interface Loaded {
  readonly findings: readonly Finding[]
  readonly definition?: JobDefinition
}

async function loadedJob(file: string): Promise<Loaded> {
  try {
    const { definition } = await loadJob(file)
    return { findings: [ok('job file', `${file} is job "${parseJobId(definition.id)}"`)], definition }
  } catch (error) {
    return { findings: [fail('job file', messageOf(error), 'mend it, or give another')] }
  }
}

interface Looked {
  readonly findings: readonly Finding[]
  readonly newest?: LogEntry
}

interface Looking {
  readonly runtime: Runtime
  readonly named: NamedBy
}

async function storeAndLog(uri: string, job: string | undefined, looking: Looking): Promise<Looked> {
  const path = pathOf(uri)
  // Where there is none it is not made for the sake of a look.
  if (path !== undefined && !existsSync(path)) {
    const place = await checked('store', () => placeFindings('store', path, { isShared: false }))
    return { findings: job === undefined ? place : [...place, unknownFinding(job, path, looking.named)] }
  }
  let store: CheckpointStore
  try {
    store = await openStore(uri)
  } catch (error) {
    return { findings: [fail('store', messageOf(error), 'see the message')] }
  }
  await using _open = store
  const findings: Finding[] = []
  const root = directoryOf(store)
  if (root !== undefined)
    findings.push(...(await checked('store', () => placeFindings('store', root, { isShared: false }))))
  let newest: LogEntry | undefined
  if (job !== undefined) {
    const ofJob = async (): Promise<readonly Finding[]> => {
      const looked = await logFindings(store, job, looking)
      newest = looked.newest
      return looked.findings
    }
    findings.push(...(await checked('log', ofJob)))
  }
  findings.push(
    ...(await checked('store probe', () =>
      storeFindings(store, newest === undefined ? undefined : job, looking.runtime),
    )),
  )
  return { findings, ...(newest === undefined ? {} : { newest }) }
}

/** Of a store on a disk; undefined: it is elsewhere. */
function pathOf(uri: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(uri)) return resolve(uri)
  if (!/^file:/i.test(uri)) return undefined
  return uri.startsWith('file://') ? new URL(uri).pathname : resolve(uri.slice('file:'.length))
}

const MARKS = { ok: 'ok', warn: 'WARN', fail: 'FAIL' } as const satisfies Record<Finding['state'], string>

function textOf(findings: readonly Finding[]): string {
  const lines = findings.flatMap((finding) => {
    const line = [MARKS[finding.state], finding.check, finding.message]
    return finding.state === 'ok' ? [line] : [line, ['', '', `-> ${finding.cure}`]]
  })
  return tableOf(lines)
}
