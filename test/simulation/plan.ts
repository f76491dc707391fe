/** What happens in one simulated life of a job: plain JSON, so that a failing one can be printed, replayed and made smaller. */
import { seeded } from './virtual-time.ts'

/** One simulated life: as a failure prints it, and as `simulate` takes it. */
export interface Plan {
  /** Of everything that is left to chance: how long what takes, what is polled, which faults hit. */
  readonly seed: number
  /** In their order; after the last one, processes run without strikes. */
  readonly processes: readonly ProcessPlan[]
  readonly rates?: Rates
  /** A paused process is woken after this many effects of its successor; left out: when the job is over. */
  readonly wakeAfter?: number
  /** Between processes the wall clock jumps by this; with `jumpsAtEffects` there and back at every effect. */
  readonly wallJumpMs?: number
  readonly jumpsAtEffects?: boolean
  /** Split i of each source is there once so many checkpoints have completed; 0 or left out: from the beginning. */
  readonly appearing?: readonly number[]
}

/** One process of the job, from its start to its end or its death. */
export interface ProcessPlan {
  /** Of the job, 1 to 5; left out: drawn by seed and number. */
  readonly parallelism?: number
  /** Left out: drawn by seed and number. */
  readonly placement?: Placement
  readonly strikes?: readonly Strike[]
  readonly asks?: readonly Ask[]
}

/**
 * Where its tasks run: in the coordinator's process, as without workers; together in one worker; subtask i in worker i mod 2; or each in a
 * worker of its own.
 */
export type Placement = 'here' | 'together' | 'workers' | 'apart'

/** At an outside effect, which is struck before or after it has taken place. */
export interface Strike {
  /** Counted from 1, over the whole process with its workers. */
  readonly effect: number
  readonly moment: 'before' | 'after'
  /** Nothing of it ever happens again, or it goes on when it is woken. */
  readonly kind: 'kill' | 'pause'
  /** Default `all`. `worker`: the one whose effect it is; `coordinator`: its workers go on until they notice. */
  readonly whom?: 'all' | 'worker' | 'coordinator'
}

/** What people ask for, once a process has had so many effects. */
export interface Ask {
  readonly effect: number
  readonly what: 'stop' | 'drain' | 'cancel' | 'checkpoint'
}

/** How often what goes wrong by chance: shares from 0 to 1, and times in milliseconds. */
export interface Rates {
  /** Of store operations that fail without effect, lose their answer, or whose read fails. */
  readonly store: number
  /** Of commits that answer retry or unknown, applied or not; of forgets and aborts that fail. */
  readonly sink: number
  /** Of polls, writes and prepares that throw. */
  readonly task: number
  /** Of effects that take long (up to `slowMs`). */
  readonly slow: number
  readonly slowMs: number
  /** Messages between coordinator and tasks take up to this. */
  readonly controlMs: number
  /** Records and barriers between tasks that are apart take up to this. */
  readonly dataMs: number
  /** Of messages that come a second time, later. */
  readonly duplicates: number
}

export const NO_FAULTS: Rates = {
  store: 0,
  sink: 0,
  task: 0,
  slow: 0,
  slowMs: 0,
  controlMs: 0.2,
  dataMs: 0.2,
  duplicates: 0,
}

export const HOUR_MS = 3_600_000
/** What is drawn, the cheap ones more often. */
export const PARALLELISMS = [1, 1, 2, 2, 3, 3, 4, 5] as const
export const PLACEMENTS = ['here', 'here', 'together', 'workers', 'apart', 'apart'] as const
const WHATS = ['stop', 'cancel', 'checkpoint', 'checkpoint'] as const
const WHOM = ['all', 'all', 'coordinator', 'worker', 'worker'] as const

/** Effects before these are those of a start that nobody sees outside. */
const FIRST_EFFECT = 20

/** A plan by chance: how many processes, struck where up to effect `until`, which faults how often. */
export function planOf(seed: number, until = 240): Plan {
  const random = seeded(seed * 7_919)
  const below = (limit: number): number => Math.floor(random() * limit)
  const rates: Rates = {
    store: random() * 0.04,
    sink: random() * 0.1,
    task: random() * 0.005,
    slow: random() * 0.06,
    slowMs: 100,
    controlMs: [0.5, 2, 8, 15][below(4)] ?? 2,
    dataMs: [0.5, 2, 8][below(3)] ?? 2,
    duplicates: random() * 0.2,
  }
  const strike = (): Strike => ({
    effect: FIRST_EFFECT + below(until - FIRST_EFFECT),
    moment: random() < 0.5 ? 'before' : 'after',
    kind: random() < 0.7 ? 'kill' : 'pause',
    whom: WHOM[below(WHOM.length)] ?? 'all',
  })
  const ask = (): Ask => ({
    effect: FIRST_EFFECT + below(until - FIRST_EFFECT),
    what: WHATS[below(WHATS.length)] ?? 'checkpoint',
  })
  return {
    seed,
    rates,
    processes: Array.from({ length: below(4) }, () => ({
      strikes: Array.from({ length: 1 + below(2) }, strike),
      ...(random() < 0.4 ? { asks: [ask()] } : {}),
    })),
    ...(random() < 0.6 ? { wakeAfter: FIRST_EFFECT + below(until - FIRST_EFFECT) } : {}),
    wallJumpMs: (below(3) - 1) * HOUR_MS,
    ...(random() < 0.25 ? { appearing: [0, 1, 1 + below(3)] } : {}),
  }
}

/** What process `number` of a life (from 1) runs with. */
export function placeOf(plan: Plan, number: number): { readonly parallelism: number; readonly placement: Placement } {
  const mine = plan.processes[number - 1]
  const random = seeded(plan.seed * 31 + number)
  const parallelism = PARALLELISMS[Math.floor(random() * PARALLELISMS.length)] ?? 1
  const placement = PLACEMENTS[Math.floor(random() * PLACEMENTS.length)] ?? 'together'
  return { parallelism: mine?.parallelism ?? parallelism, placement: mine?.placement ?? placement }
}
