/** Lives until one is found that violates something: what a checker says of a mutant. Loaded once for each mutant. */
import { live, type Plan } from './life.ts'
import type { Strike } from './process.ts'
import { planOf } from './random-plan.ts'

interface Found {
  readonly lives: number
  readonly violation: string | undefined
}

export async function hunt(mostLives: number): Promise<Found> {
  let lives = 0
  for await (const plan of plans()) {
    if (lives >= mostLives) break
    lives += 1
    const [violation] = (await live(plan)).violations
    if (violation !== undefined) return { lives, violation }
  }
  return { lives, violation: undefined }
}

async function* plans(): AsyncGenerator<Plan> {
  yield* simplePlans(1, 6)
  yield* appearingPlans()
  yield* sweeperPlans()
  yield* simplePlans(7, Number.POSITIVE_INFINITY)
}

function* simplePlans(from: number, to: number): Generator<Plan> {
  for (let seed = from; seed <= to; seed += 1) {
    yield { seed, strikes: [{ effect: 24 + ((seed * 13) % 75), moment: 'after', kind: 'kill' }] }
    yield planOf(seed)
  }
}

/** Splits appear while the job runs, in one task and in several. */
function* appearingPlans(): Generator<Plan> {
  const appearing = { c: { length: 13, behind: 1 }, d: { length: 7, behind: 3 } }
  for (let seed = 1; seed <= 4; seed += 1) {
    const strikes = [{ effect: 70 + seed * 17, moment: 'after', kind: 'kill' }] as const
    yield { seed, strikes, appearing, parallelisms: [seed, 1] }
  }
}

/** The second process is paused in its sweep and woken while the third one works. */
export async function* sweeperPlans(): AsyncGenerator<Plan> {
  const { crash, effects } = await crashThatLeavesDebris()
  for (const [index, name] of effects.entries()) {
    if (!/^store\.(list|delete) job\/blob\//.test(name)) continue
    for (const moment of ['before', 'after'] as const) {
      for (const wakeAfter of [56, 60, 64, 68, 80]) {
        yield { seed: 5, strikes: [crash, { effect: index + 1, moment, kind: 'pause' }], wakeAfter }
      }
    }
  }
}

/** A crash after which the next start finds a blob to sweep away. */
async function crashThatLeavesDebris(): Promise<{ crash: Strike; effects: readonly string[] }> {
  for (let effect = 60; effect <= 160; effect += 1) {
    const crash = { effect, moment: 'before', kind: 'kill' } as const
    const effects = (await live({ seed: 5, strikes: [crash] })).effects[1] ?? []
    if (effects.some((name) => name.startsWith('store.delete job/blob/'))) return { crash, effects }
  }
  throw new Error('no crash leaves a blob behind: there is no sweep to be paused')
}
