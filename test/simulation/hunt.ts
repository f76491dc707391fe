/** Lives until one is found that violates something: what a checker says of a mutant. Loaded once for each mutant. */
import { live } from './life.ts'
import { parallelJob } from './parallel-job.ts'
import { NO_FAULTS, planOf, type Plan, type Strike } from './plan.ts'

interface Found {
  readonly lives: number
  readonly violation: string | undefined
}

export async function hunt(mostLives: number): Promise<Found> {
  let lives = 0
  for await (const plan of plans()) {
    if (lives >= mostLives) break
    lives += 1
    const [violation] = (await live(plan, parallelJob(plan.seed))).violations
    if (violation !== undefined) return { lives, violation }
  }
  return { lives, violation: undefined }
}

async function* plans(): AsyncGenerator<Plan> {
  yield* simplePlans(1, 6)
  yield* appearingPlans()
  yield* drainPlans()
  yield* sweeperPlans()
  yield* simplePlans(7, Number.POSITIVE_INFINITY)
}

function* simplePlans(from: number, to: number): Generator<Plan> {
  for (let seed = from; seed <= to; seed += 1) {
    const strikes: readonly Strike[] = [{ effect: 60 + ((seed * 37) % 140), moment: 'after', kind: 'kill' }]
    yield { seed, processes: [{ strikes }] }
    yield planOf(seed)
    // What is said is slower than what is read; of some checkpoints too slow.
    const slow = seed % 2 === 0 ? { slow: 0.03, slowMs: 150 } : {}
    const rates = { ...NO_FAULTS, controlMs: 30, dataMs: 0.3, duplicates: 0.3, ...slow }
    yield { seed, processes: [{ parallelism: 2, placement: 'apart', strikes: [] }], rates }
    // Commits are behind.
    yield { seed, processes: [{ parallelism: 2, placement: 'here', strikes }], rates: { ...NO_FAULTS, sink: 0.4 } }
  }
}

/** Splits appear while the job runs, in one subtask and in several. */
function* appearingPlans(): Generator<Plan> {
  for (let seed = 1; seed <= 4; seed += 1) {
    const strikes: readonly Strike[] = [{ effect: 150 + seed * 40, moment: 'after', kind: 'kill' }]
    yield { seed, processes: [{ parallelism: seed, strikes }, { parallelism: 1 }], appearing: [0, 1, 3] }
  }
}

/** Drained beside a checkpoint that was asked for just before. */
function* drainPlans(): Generator<Plan> {
  for (let seed = 1; seed <= 6; seed += 1) {
    const asks = [
      { effect: 60 + seed * 9, what: 'checkpoint' },
      { effect: 60 + seed * 9 + (seed % 3), what: 'drain' },
    ] as const
    yield {
      seed,
      processes: [
        { parallelism: 2, placement: 'workers', asks },
        { parallelism: 3, placement: 'here' },
      ],
    }
  }
}

/** The second process is paused in its sweep and woken while the third one works. */
export async function* sweeperPlans(): AsyncGenerator<Plan> {
  const { crash, effects } = await crashThatLeavesDebris()
  for (const [index, name] of effects.entries()) {
    if (!/^store\.(list|delete) job\/blob\//.test(name)) continue
    for (const moment of ['before', 'after'] as const) {
      for (const wakeAfter of [120, 130, 140, 150, 170]) {
        yield planAfter(crash, [{ effect: index + 1, moment, kind: 'pause' }], wakeAfter)
      }
    }
  }
}

/** A crash after which the next start finds a blob to sweep away. */
async function crashThatLeavesDebris(): Promise<{ crash: Strike; effects: readonly string[] }> {
  for (let effect = 100; effect <= 250; effect += 3) {
    const crash = { effect, moment: 'before', kind: 'kill' } as const
    const effects = (await live(planAfter(crash, []), parallelJob(5))).effects[1] ?? []
    const deletes = effects.filter((name) => name.startsWith('store.delete job/blob/')).length
    if (deletes > 0) return { crash, effects }
  }
  throw new Error('no crash leaves a blob behind: there is no sweep to be paused')
}

function planAfter(crash: Strike, strikes: readonly Strike[], wakeAfter?: number): Plan {
  const processes = [[crash], strikes, []].map((mine) => ({
    parallelism: 2,
    placement: 'together' as const,
    strikes: mine,
  }))
  return { seed: 5, processes, ...(wakeAfter === undefined ? {} : { wakeAfter }) }
}
