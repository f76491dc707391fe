/**
 * A job definition comes from a user's file, perhaps from plain JavaScript: what the types promise is checked here once.
 */
import { parseJobId, TerminalError } from '../api/index.ts'
import type { RestartStrategy } from '../checkpoint/restart.ts'
import { checkParallelism } from './check-operator.ts'
import type { JobDefinition } from './define-job.ts'

interface Limits {
  readonly least: number
  readonly isInteger: boolean
}

const DURATION: Limits = { least: 0, isInteger: false }
const POSITIVE_DURATION: Limits = { least: 1, isInteger: false }
const COUNT: Limits = { least: 0, isInteger: true }
const POSITIVE_COUNT: Limits = { least: 1, isInteger: true }

const CHECKPOINT: Readonly<Record<keyof NonNullable<JobDefinition['checkpoint']>, Limits>> = {
  intervalMs: POSITIVE_DURATION,
  minPauseMs: DURATION,
  timeoutMs: POSITIVE_DURATION,
  retained: POSITIVE_COUNT,
  toleratedFailures: COUNT,
  maxUncommittedEpochs: POSITIVE_COUNT,
}

const RESTART: Readonly<Record<RestartStrategy['kind'], Readonly<Record<string, Limits>>>> = {
  none: {},
  'fixed-delay': { attempts: COUNT, delayMs: DURATION },
  'failure-rate': { failures: COUNT, perMs: POSITIVE_DURATION, delayMs: DURATION },
  'exponential-delay': {
    initialMs: DURATION,
    maxMs: DURATION,
    factor: { least: 1, isInteger: false },
    resetMs: DURATION,
    jitter: DURATION,
    attempts: COUNT,
  },
}

const MEMBERS: Readonly<Record<keyof JobDefinition, true>> = {
  id: true,
  checkpoint: true,
  restart: true,
  guarantee: true,
  parallelism: true,
  build: true,
}

const GUARANTEES: readonly string[] = ['exactly-once', 'idempotent', 'at-least-once']

/** @throws TerminalError naming the member and what it may be */
export function checkDefinition(definition: JobDefinition): void {
  parseJobId(definition.id)
  const { id, checkpoint = {}, restart, guarantee, parallelism } = definition
  if (typeof definition.build !== 'function') {
    throw new TerminalError(`job "${id}" has no function build; declare its graph in one, as in build(flow) { … }`, {
      code: 'SLUICE_JOB_OPTION_INVALID',
    })
  }
  const unknown = Object.keys(definition).find((name) => !Object.hasOwn(MEMBERS, name))
  if (unknown !== undefined) {
    throw new TerminalError(`job "${id}": ${unknown} is unknown; known are ${Object.keys(MEMBERS).join(', ')}`, {
      code: 'SLUICE_JOB_OPTION_INVALID',
    })
  }
  if (guarantee !== undefined && !GUARANTEES.includes(guarantee)) {
    throw new TerminalError(`job "${id}": guarantee ${show(guarantee)} is not one of ${GUARANTEES.join(', ')}`, {
      code: 'SLUICE_JOB_OPTION_INVALID',
    })
  }
  if (parallelism !== undefined) checkParallelism(`job "${id}"`, parallelism)
  checkObject(`job "${id}": checkpoint`, checkpoint)
  checkNumbers(`job "${id}": checkpoint`, checkpoint, CHECKPOINT)
  if (restart === undefined) return
  checkObject(`job "${id}": restart`, restart)
  const { kind, ...rest } = restart
  if (!Object.hasOwn(RESTART, kind)) {
    throw new TerminalError(
      `job "${id}": restart kind ${show(kind)} is not one of ${Object.keys(RESTART).join(', ')}`,
      { code: 'SLUICE_JOB_OPTION_INVALID' },
    )
  }
  const limits = RESTART[kind]
  checkNumbers(`job "${id}": restart`, rest, limits)
  const missing = Object.keys(limits).filter((name) => !Object.hasOwn(rest, name))
  if (missing.length > 0)
    throw new TerminalError(`job "${id}": restart ${kind} lacks ${missing.join(', ')}`, {
      code: 'SLUICE_JOB_OPTION_INVALID',
    })
}

function checkObject(what: string, given: unknown): void {
  if (typeof given === 'object' && given !== null) return
  throw new TerminalError(`${what} is ${show(given)}; it must be an object, or left out`, {
    code: 'SLUICE_JOB_OPTION_INVALID',
  })
}

function checkNumbers(what: string, given: object, limits: Readonly<Record<string, Limits>>): void {
  for (const [name, value] of Object.entries(given) as readonly (readonly [string, unknown])[]) {
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined
    if (limit === undefined) {
      throw new TerminalError(`${what}.${name} is unknown; known are ${Object.keys(limits).join(', ') || 'none'}`, {
        code: 'SLUICE_JOB_OPTION_INVALID',
      })
    }
    if (value === undefined || isWithin(value, limit)) continue
    const kind = limit.isInteger ? 'a whole number' : 'a number'
    throw new TerminalError(`${what}.${name} is ${show(value)}; it must be ${kind}, at least ${limit.least}`, {
      code: 'SLUICE_JOB_OPTION_INVALID',
    })
  }
}

/** Infinity is a count too: restart for ever. */
function isWithin(value: unknown, { least, isInteger }: Limits): boolean {
  if (typeof value !== 'number' || Number.isNaN(value) || value < least) return false
  return !isInteger || Number.isInteger(value) || value === Number.POSITIVE_INFINITY
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
