import { expect, test } from 'vitest'
import type { CommitOutcome } from '../../engine/api/index.ts'
import { decideOutcomes, type OutcomeDecision } from '../../engine/checkpoint/commit-outcome.ts'

const backoff = { initialDelayMs: 20, maxDelayMs: 5_000 }
const facts = { requests: 1, attempt: 1, isLossAccepted: false, random: 0 }
const outcomes: Record<CommitOutcome['kind'] | 'missing', readonly CommitOutcome[]> = {
  committed: [{ kind: 'committed' }],
  'already-committed': [{ kind: 'already-committed' }],
  retry: [{ kind: 'retry', afterMs: 500, cause: 'busy' }],
  unknown: [{ kind: 'unknown', cause: 'reset' }],
  lost: [{ kind: 'lost', reason: 'expired' }],
  missing: [],
}

type Loss = 'loss not accepted' | 'loss accepted'
const done: OutcomeDecision = { kind: 'all-committed', acceptedLosses: [] }
const again = (afterMs: number, cause: string): OutcomeDecision => ({
  kind: 'ask-again',
  indexes: [0],
  afterMs,
  cause,
  acceptedLosses: [],
})
const common = {
  committed: done,
  'already-committed': done,
  retry: again(500, 'busy'),
  unknown: again(10, 'reset'),
  missing: again(10, 'the committer gave no outcome'),
}
const table: Record<Loss, Record<keyof typeof outcomes, OutcomeDecision>> = {
  'loss not accepted': { ...common, lost: { kind: 'lost', index: 0, reason: 'expired' } },
  'loss accepted': { ...common, lost: { kind: 'all-committed', acceptedLosses: [0] } },
}

for (const loss of ['loss not accepted', 'loss accepted'] as const) {
  for (const kind of ['committed', 'already-committed', 'retry', 'unknown', 'lost', 'missing'] as const) {
    test(`${kind}, ${loss}`, () => {
      const decision = decideOutcomes(backoff, {
        ...facts,
        outcomes: outcomes[kind],
        isLossAccepted: loss === 'loss accepted',
      })
      expect(decision).toEqual(table[loss][kind])
    })
  }
}

test('only what is unclear is asked again; more outcomes than requests are not read', () => {
  const decision = decideOutcomes(backoff, {
    ...facts,
    requests: 3,
    outcomes: [...outcomes.committed, ...outcomes.unknown, ...outcomes['already-committed'], ...outcomes.lost],
  })
  expect(decision).toMatchObject({ kind: 'ask-again', indexes: [1] })
})

test('a loss is not hidden by unclear answers before it (C7)', () => {
  const mixed = [...outcomes.retry, ...outcomes.lost, ...outcomes.committed]
  expect(decideOutcomes(backoff, { ...facts, requests: 3, outcomes: mixed })).toMatchObject({ kind: 'lost', index: 1 })
})

test('the delay doubles up to its bound, and chance adds at most as much again', () => {
  const delay = (attempt: number, random: number): number => {
    const decision = decideOutcomes(backoff, { ...facts, attempt, random, outcomes: outcomes.unknown })
    return decision.kind === 'ask-again' ? decision.afterMs : -1
  }
  expect([1, 2, 3, 100].map((attempt) => delay(attempt, 0))).toEqual([10, 20, 40, 2_500])
  expect(delay(100, 1)).toBe(5_000)
})
