/**
 * Node, the package with what it depends on, and the limits of this process.
 */
import { readFileSync } from 'node:fs'
import { messageOf } from '../../engine/api/index.ts'
import { packageVersion } from '../version.ts'
import { fail, ok, warn, type Finding } from './finding.ts'

const LEAST_NODE = 24
/** What a run opens besides: sockets, parts, directories of the store. */
const LEAST_FILES = 1_024

/** Each as the module that needs it would load it. */
const DEPENDENCIES = {
  commander: () => import('commander'),
  msgpackr: () => import('msgpackr'),
  'csv-parse': () => import('csv-parse'),
  kafkajs: () => import('kafkajs'),
} as const

export async function machineFindings(): Promise<readonly Finding[]> {
  return [nodeFinding(), await packageFinding(), filesFinding()]
}

function nodeFinding(): Finding {
  const { node } = process.versions
  if (Number(node.split('.')[0]) >= LEAST_NODE) return ok('node', `Node ${node}, ${process.platform} ${process.arch}`)
  return fail('node', `Node ${node} is too old`, `use Node ${LEAST_NODE} or newer`)
}

async function packageFinding(): Promise<Finding> {
  const problems: string[] = []
  for (const [name, load] of Object.entries(DEPENDENCIES)) {
    await load().catch((error: unknown) => problems.push(`${name} (${messageOf(error)})`))
  }
  const version = `sluice ${packageVersion()}`
  if (problems.length === 0) return ok('package', `${version}; ${Object.keys(DEPENDENCIES).join(', ')} load`)
  return fail('package', `${version}; these cannot be loaded: ${problems.join(', ')}`, 'install the package anew')
}

function filesFinding(): Finding {
  const limit = openFileLimit()
  if (limit === undefined) return ok('open files', 'the limit cannot be read on this system')
  if (limit >= LEAST_FILES) return ok('open files', `up to ${limit === Infinity ? 'any number' : limit}`)
  return warn(
    'open files',
    `only ${limit} may be open at a time`,
    `raise the limit, like with: ulimit -n ${LEAST_FILES * 4}`,
  )
}

/** Undefined: not to be known here. */
function openFileLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    if (soft === undefined) return undefined
    return soft === 'unlimited' ? Infinity : Number(soft)
  } catch {
    return undefined
  }
}
