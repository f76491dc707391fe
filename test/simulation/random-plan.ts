/** A seed to a plan: how many strikes, where, which faults how often. */
import type { Plan } from './life.ts'
import type { Rates } from './process.ts'
import { seeded } from './virtual-time.ts'

export const HOUR_MS = 3_600_000
const WHATS = ['stop', 'cancel', 'checkpoint', 'checkpoint'] as const

export function planOf(seed: number): Plan {
  const random = seeded(seed * 7_919)
  const below = (limit: number): number => Math.floor(random() * limit)
  const rates: Rates = {
    store: random() * 0.06,
    sink: random() * 0.15,
    task: random() * 0.03,
    slow: random() * 0.3,
    slowMs: 100,
  }
  return {
    seed,
    rates,
    strikes: Array.from({ length: below(5) }, () => ({
      effect: 1 + below(140),
      moment: random() < 0.5 ? 'before' : 'after',
      kind: random() < 0.7 ? 'kill' : 'pause',
    })),
    ...(random() < 0.6 ? { wakeAfter: 20 + below(80) } : {}),
    wallJumpMs: (below(3) - 1) * HOUR_MS,
    asks: Array.from({ length: 1 + below(4) }, () => ({
      process: 1 + below(3),
      effect: 1 + below(90),
      what: WHATS[below(WHATS.length)] ?? 'checkpoint',
    })).toSorted((a, b) => a.effect - b.effect),
  }
}
