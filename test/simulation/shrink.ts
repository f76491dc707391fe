/** Makes a failing plan smaller for as long as it fails: fewer processes and strikes, no faults, one subtask. */
import { NO_FAULTS, type Plan, type ProcessPlan } from './plan.ts'

interface Failing {
  readonly plan: Plan
  readonly violations: readonly string[]
}

const MOST_LIVES = 200

/** Each smaller plan is tried in its turn; the first one that fails, too, takes the place of the one it was made of. */
export async function shrunk(
  plan: Plan,
  violations: readonly string[],
  violationsOf: (plan: Plan) => Promise<readonly string[]>,
): Promise<Failing> {
  let best: Failing = { plan, violations }
  let lives = 0
  for (let isSmaller = true; isSmaller;) {
    isSmaller = false
    for (const one of smaller(best.plan)) {
      if (lives >= MOST_LIVES) return best
      lives += 1
      const found = await violationsOf(one)
      if (found.length === 0) continue
      best = { plan: one, violations: found }
      isSmaller = true
      break
    }
  }
  return best
}

function* smaller(plan: Plan): Generator<Plan> {
  const { processes, rates, wakeAfter: _wakeAfter, wallJumpMs: _wallJumpMs, ...rest } = plan
  if (plan.appearing?.some((behind) => behind > 0) === true) yield { ...plan, appearing: [] }
  for (const index of processes.keys()) yield { ...plan, processes: processes.toSpliced(index, 1) }
  if (rates !== undefined) {
    yield { ...rest, processes }
    for (const name of ['store', 'sink', 'task', 'slow', 'duplicates', 'controlMs', 'dataMs'] as const) {
      if (rates[name] !== NO_FAULTS[name]) yield { ...plan, rates: { ...rates, [name]: NO_FAULTS[name] } }
    }
  }
  if (plan.wakeAfter !== undefined || (plan.wallJumpMs ?? 0) !== 0) {
    yield { ...rest, processes, ...(rates === undefined ? {} : { rates }) }
  }
  for (const [index, process] of processes.entries()) {
    for (const one of smallerProcesses(process)) yield { ...plan, processes: processes.with(index, one) }
  }
}

function* smallerProcesses(process: ProcessPlan): Generator<ProcessPlan> {
  const { strikes = [], asks = [] } = process
  for (const index of strikes.keys()) yield { ...process, strikes: strikes.toSpliced(index, 1) }
  if (asks.length > 0) yield { ...process, asks: [] }
  if (process.placement !== 'here') yield { ...process, placement: 'here' }
  if (process.parallelism === undefined || process.parallelism > 2) yield { ...process, parallelism: 2 }
  if (process.parallelism === 2) yield { ...process, parallelism: 1 }
  for (const [index, strike] of strikes.entries()) {
    if (strike.kind === 'pause') yield { ...process, strikes: strikes.with(index, { ...strike, kind: 'kill' }) }
    if ((strike.whom ?? 'all') !== 'all') yield { ...process, strikes: strikes.with(index, { ...strike, whom: 'all' }) }
  }
}
