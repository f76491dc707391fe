/** What a transaction outside is to the job, and what may be done to it by hand: every cell. */
import { expect, test } from 'vitest'
import type { TransactionFate } from '../../engine/api/index.ts'
import { permitByHand } from '../../engine/checkpoint/commit-permit.ts'
import { decideEnd, type EndDecision } from '../../engine/checkpoint/hand-made-end.ts'
import {
  verdictOf,
  type TransactionFacts,
  type TransactionVerdict,
} from '../../engine/checkpoint/transaction-verdict.ts'

type Holding = 'due' | 'due, loss accepted' | 'committed' | 'committed, loss accepted'

const HOLDINGS: Readonly<Record<Holding, NonNullable<TransactionFacts['held']>>> = {
  due: { isCommitted: false, isLossAccepted: false },
  'due, loss accepted': { isCommitted: false, isLossAccepted: true },
  committed: { isCommitted: true, isLossAccepted: false },
  'committed, loss accepted': { isCommitted: true, isLossAccepted: true },
}

const OF_HELD: Readonly<Record<Holding, Readonly<Record<TransactionFate, TransactionVerdict>>>> = {
  due: { open: 'due', ending: 'unknown', committed: 'committed', gone: 'lost', unknown: 'unknown' },
  'due, loss accepted': { open: 'due', ending: 'unknown', committed: 'committed', gone: 'lost', unknown: 'unknown' },
  committed: {
    // The log and the outside contradict each other.
    open: 'unknown',
    ending: 'committed',
    committed: 'committed',
    // Evidence goes by age.
    gone: 'committed',
    unknown: 'committed',
  },
  'committed, loss accepted': {
    open: 'unknown',
    ending: 'unknown',
    committed: 'committed',
    gone: 'lost',
    unknown: 'unknown',
  },
}

for (const [holding, verdicts] of Object.entries(OF_HELD) as [Holding, (typeof OF_HELD)[Holding]][]) {
  test.each(Object.entries(verdicts) as [TransactionFate, TransactionVerdict][])(
    `held by a checkpoint that is ${holding}, and %s outside, it is %s, whoever runs the job`,
    (fate, verdict) => {
      for (const isRun of [true, false, null]) {
        for (const isOfNewestGeneration of [true, false]) {
          expect(verdictOf({ fate, held: HOLDINGS[holding], isRun, isOfNewestGeneration })).toBe(verdict)
        }
      }
    },
  )
}

test.each<[isRun: boolean | null, isOfNewestGeneration: boolean, verdict: TransactionVerdict]>([
  [true, true, 'writing'],
  [true, false, 'orphan'],
  [false, true, 'orphan'],
  [false, false, 'orphan'],
  // Who may live may complete a checkpoint that holds it.
  [null, true, 'unknown'],
  [null, false, 'orphan'],
])('open and held by none: run %s, of its generation %s: %s', (isRun, isOfNewestGeneration, verdict) => {
  expect(verdictOf({ fate: 'open', held: null, isRun, isOfNewestGeneration })).toBe(verdict)
})

test('held by none and not open, it is nothing to be done about', () => {
  const facts = { held: null, isRun: false, isOfNewestGeneration: true }
  expect(verdictOf({ fate: 'ending', ...facts })).toBe('ending')
  for (const fate of ['committed', 'gone', 'unknown'] as const) expect(verdictOf({ fate, ...facts })).toBe('unknown')
})

type Cell = EndDecision['kind']
const BY_HAND: Readonly<Record<TransactionVerdict, Readonly<Record<'commit' | 'abort', Cell>>>> = {
  due: { commit: 'allowed', abort: 'to-be-accepted' },
  orphan: { commit: 'to-be-accepted', abort: 'allowed' },
  committed: { commit: 'nothing-to-do', abort: 'refused' },
  lost: { commit: 'refused', abort: 'nothing-to-do' },
  writing: { commit: 'refused', abort: 'refused' },
  ending: { commit: 'refused', abort: 'refused' },
  unknown: { commit: 'refused', abort: 'refused' },
}

for (const [verdict, row] of Object.entries(BY_HAND) as [TransactionVerdict, (typeof BY_HAND)['due']][]) {
  test.each(Object.entries(row) as ['commit' | 'abort', Cell][])(
    `%s by hand of what is ${verdict}: %s`,
    (how, cell) => {
      expect(decideEnd(verdict, how, { duplicates: false, loss: false }).kind).toBe(cell)
    },
  )
}

test('a loss is accepted as a loss only, duplicates as duplicates, and nothing else is bought with either (C1, S2)', () => {
  const [loss, duplicates] = [
    { duplicates: false, loss: true },
    { duplicates: true, loss: false },
  ]
  expect(decideEnd('due', 'abort', loss)).toEqual({ kind: 'allowed' })
  expect(decideEnd('due', 'abort', duplicates)).toEqual({ kind: 'to-be-accepted', what: 'loss' })
  expect(decideEnd('orphan', 'commit', duplicates)).toEqual({ kind: 'allowed' })
  expect(decideEnd('orphan', 'commit', loss)).toEqual({ kind: 'to-be-accepted', what: 'duplicates' })
  const all = { duplicates: true, loss: true }
  for (const verdict of ['writing', 'ending', 'unknown'] as const) {
    for (const how of ['commit', 'abort'] as const) expect(decideEnd(verdict, how, all).kind).toBe('refused')
  }
})

test('a permit exists for what is allowed, and for nothing else (C1, S2)', () => {
  const nothing = { duplicates: false, loss: false }
  expect(permitByHand('due', 'commit', nothing)).toBeDefined()
  expect(() => permitByHand('due', 'abort', nothing)).toThrow(/C1, S2/)
  expect(() => permitByHand('orphan', 'commit', nothing)).toThrow(/C1, S2/)
  expect(() => permitByHand('writing', 'abort', { duplicates: true, loss: true })).toThrow(/C1, S2/)
})
