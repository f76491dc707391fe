/**
 * For authors of jobs: their operators over given records, in many simulated lives with crashes, faults, zombies and other parallelism. What
 * becomes visible must be what a run without any of that shows.
 */
import { inspect } from 'node:util'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { live, type Report } from './life.ts'
import { planOf, type Plan } from './plan.ts'
import { shrunk } from './shrink.ts'
import type { Connectors, Subject, World } from './world.ts'

type Visible = Readonly<Record<string, readonly unknown[]>>

export interface SimulateOptions {
  /** Lives, each from a seed of its own; default 50. */
  readonly seeds?: number
  /** Default 1. */
  readonly firstSeed?: number
  /** Only this one, as a failure has printed it. */
  readonly plan?: Plan
  /** Records of a sink with the same key must be visible in the same order as ever. Left out: order is not looked at. */
  readonly keyOf?: (record: unknown, sink: string) => unknown
  /** What of all that is visible in the end, by sink, must be the same; default all records, in any order. */
  readonly outcome?: (visible: Visible) => unknown
}

/** What was tried, all lives together. */
export type Simulated = Readonly<
  Record<'lives' | 'crashes' | 'restarts' | 'rescales' | 'faults' | 'checkpoints' | 'comparisons', number>
>

/** A job under simulation did not show what it shows without faults; the message says in which life, and how to see it again. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure'
  /** As small as it gets. */
  readonly plan: Plan
  readonly violations: readonly string[]

  constructor(what: string, plan: Plan, violations: readonly string[]) {
    const list = violations.slice(0, 10).map((one) => `\n  - ${one}`)
    super(`${what}:${list.join('')}\nSee it again with simulate(job, { plan: ${JSON.stringify(plan)} })`)
    this.plan = plan
    this.violations = violations
  }
}

const SEEDS = 50
const ALONE: Plan = { seed: 1, processes: [{ parallelism: 1, placement: 'here' }] }
const TOGETHER: Plan = { seed: 2, processes: [{ parallelism: 3, placement: 'workers' }] }

/**
 * `job` is called for each simulated process and must give the same job each time; what it closes over is shared by all of them, as nothing
 * of a real job is. Checkpoints, restarts and parallelism of the job are the simulation's.
 * @throws SimulationFailure
 */
export async function simulate(
  job: (connectors: Connectors) => JobDefinition,
  options: SimulateOptions = {},
): Promise<Simulated> {
  const once = { kind: 'none' } as const
  const reference = await live(ALONE, { job, compare: () => undefined }, once)
  if (reference.violations.length > 0)
    throw new SimulationFailure('the job does not finish without any fault', ALONE, reference.violations)
  const subject: Subject = { job, compare: comparison(reference.visible, options) }
  const parallel = await live(TOGETHER, subject, once)
  if (parallel.violations.length > 0) {
    const why =
      'two runs without any fault show different things: the output depends on when records of different splits arrive, ' +
      'or on the subtask that reads them. Say with `outcome` what of it must be the same'
    throw new SimulationFailure(why, TOGETHER, parallel.violations)
  }
  const total = { lives: 0, crashes: 0, restarts: 0, rescales: 0, faults: 0, checkpoints: 0, comparisons: 0 }
  // Strikes fall between the first and the last effect of a life, and some of them behind it.
  const until = Math.max(60, parallel.effects[0]?.length ?? 0)
  for (const plan of plansOf(options, until)) {
    const report = await live(plan, subject)
    if (report.violations.length > 0) throw await failureOf(plan, subject, report)
    total.lives += 1
    total.crashes += report.fired
    total.restarts += report.restarts
    total.rescales += report.rescales
    total.faults += report.faults
    total.checkpoints += report.completed
    total.comparisons += report.facts
  }
  return total
}

function plansOf({ plan, seeds = SEEDS, firstSeed = 1 }: SimulateOptions, until: number): readonly Plan[] {
  return plan === undefined ? Array.from({ length: seeds }, (_, index) => planOf(firstSeed + index, until)) : [plan]
}

async function failureOf(plan: Plan, subject: Subject, report: Report): Promise<SimulationFailure> {
  const violationsOf = async (one: Plan): Promise<readonly string[]> => (await live(one, subject)).violations
  const small = await shrunk(plan, report.violations, violationsOf)
  return new SimulationFailure('not what it shows without faults', small.plan, small.violations)
}

function comparison(expected: Visible, { keyOf, outcome }: SimulateOptions): Subject['compare'] {
  const wanted = new Map(Object.entries(expected).map(([sink, records]) => [sink, records.map(textOf)]))
  return (world, isOver) => {
    if (outcome !== undefined) {
      if (isOver) sameOutcome(world, outcome(visibleIn(world)), outcome(expected))
      return
    }
    const sinks = isOver ? new Set([...wanted.keys(), ...world.services.keys()]) : world.services.keys()
    for (const sink of sinks) {
      const seen = (world.services.get(sink)?.visible ?? []).map(textOf)
      sameRecords(world, sink, { seen, wanted: wanted.get(sink) ?? [], isOver })
    }
    if (keyOf === undefined || !isOver) return
    for (const [sink, records] of Object.entries(visibleIn(world))) {
      sameOrder(world, sink, byKey(records, sink, keyOf), byKey(expected[sink] ?? [], sink, keyOf))
    }
  }
}

function visibleIn({ services }: World): Visible {
  return Object.fromEntries([...services].map(([sink, { visible }]) => [sink, visible]))
}

function sameOutcome({ truth }: World, seen: unknown, wanted: unknown): void {
  truth.expect(textOf(seen) === textOf(wanted), () => `the outcome is ${textOf(seen)} instead of ${textOf(wanted)}`)
}

interface Compared {
  readonly seen: readonly string[]
  readonly wanted: readonly string[]
  readonly isOver: boolean
}

function sameRecords({ truth }: World, sink: string, { seen, wanted, isOver }: Compared): void {
  const counts = new Map<string, number>()
  for (const one of wanted) counts.set(one, (counts.get(one) ?? 0) + 1)
  for (const one of seen) counts.set(one, (counts.get(one) ?? 0) - 1)
  const extra = [...counts].filter(([, count]) => count < 0).map(([one]) => one)
  truth.expect(extra.length === 0, () => `"${sink}" shows too much: ${some(extra)}`)
  if (!isOver) return
  const missing = [...counts].filter(([, count]) => count > 0).map(([one]) => one)
  truth.expect(missing.length === 0, () => `"${sink}" does not show ${some(missing)}`)
}

function byKey(records: readonly unknown[], sink: string, keyOf: NonNullable<SimulateOptions['keyOf']>) {
  const groups = new Map<string, string[]>()
  for (const record of records) {
    const key = textOf(keyOf(record, sink))
    groups.set(key, [...(groups.get(key) ?? []), textOf(record)])
  }
  return groups
}

function sameOrder(
  { truth }: World,
  sink: string,
  seen: ReadonlyMap<string, readonly string[]>,
  wanted: ReadonlyMap<string, readonly string[]>,
): void {
  for (const [key, records] of wanted) {
    const mine = seen.get(key) ?? []
    const isSame = mine.join('\n') === records.join('\n')
    truth.expect(
      isSame,
      () => `"${sink}" shows of key ${key} ${some(mine)}, in this order, instead of ${some(records)}`,
    )
  }
}

function some(records: readonly string[]): string {
  const more = records.length > 8 ? ` and ${records.length - 8} more` : ''
  return `${records.slice(0, 8).join(', ')}${more}`
}

/** Whatever the value is made of; the same for equal ones. */
function textOf(value: unknown): string {
  return inspect(value, {
    depth: null,
    sorted: true,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: null,
    maxStringLength: null,
  })
}
