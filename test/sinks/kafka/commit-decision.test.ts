/** What becomes of a prepared transaction, for everything that a broker can say of it. */
import { describe, expect, test } from 'vitest'
import { TRANSACTION_STATES, type TransactionState } from '../../../clients/kafka/wire/transaction-states.ts'
import {
  decideCommit,
  describedAs,
  endedAs,
  lossOf,
  type CommitDecision,
  type Described,
  type Ended,
  type Witness,
} from '../../../sinks/kafka/commit-decision.ts'

type ByWitness = Readonly<Record<Witness, CommitDecision>>
type Table = Readonly<Record<Described, Readonly<Record<Ended, ByWitness>>>>

const whatever = (decision: CommitDecision): ByWitness => ({
  'not-asked': decision,
  present: decision,
  absent: decision,
  unanswered: decision,
})
const byWitness: ByWitness = {
  'not-asked': 'ask-witness',
  present: 'already-committed',
  absent: 'lost',
  unanswered: 'ask-later',
}
/** EndTxn is not sent then; where it was, a clear answer of it counts. */
const proven = {
  'not-asked': byWitness,
  done: whatever('committed'),
  refused: byWitness,
  unclear: byWitness,
} satisfies Readonly<Record<Ended, ByWitness>>

const table: Table = {
  open: {
    'not-asked': whatever('end'),
    done: whatever('committed'),
    refused: whatever('describe-again'),
    unclear: whatever('ask-later'),
  },
  committed: {
    'not-asked': whatever('already-committed'),
    done: whatever('committed'),
    refused: whatever('already-committed'),
    unclear: whatever('already-committed'),
  },
  aborted: proven,
  fenced: proven,
  'moved-on': proven,
  behind: proven,
  'not-found': proven,
  unanswered: {
    'not-asked': whatever('ask-later'),
    done: whatever('committed'),
    refused: whatever('ask-later'),
    unclear: whatever('ask-later'),
  },
}

describe('a prepared transaction', () => {
  for (const [described, byEnded] of Object.entries(table) as [Described, Table[Described]][]) {
    for (const [ended, byAnswer] of Object.entries(byEnded) as [Ended, ByWitness][]) {
      for (const [witness, expected] of Object.entries(byAnswer) as [Witness, CommitDecision][]) {
        test(`described as ${described}, EndTxn ${ended}, witness ${witness}: ${expected}`, () => {
          expect(decideCommit({ described, ended, witness })).toBe(expected)
        })
      }
    }
  }

  test('is lost only where the witness is known to be absent and nothing is open (C2)', () => {
    const lost = Object.entries(table).flatMap(([described, byEnded]) =>
      Object.values(byEnded).flatMap((byAnswer) =>
        Object.entries(byAnswer).flatMap(([witness, decision]) =>
          decision === 'lost' ? [`${described} ${witness}`] : [],
        ),
      ),
    )
    expect(
      lost.every((one) => one.endsWith(' absent') && !one.startsWith('open') && !one.startsWith('committed')),
    ).toBe(true)
    expect(lost).not.toEqual([])
  })

  test('says of each way to be lost another thing', () => {
    const ways = ['aborted', 'fenced', 'moved-on', 'behind', 'not-found'] as const
    expect(new Set(ways.map(lossOf)).size).toBe(ways.length)
  })
})

/** By how many producer epochs the broker is ahead of the handle. */
type Ahead = 'behind' | 'same' | 'one' | 'two' | 'another producer id'
const states: Readonly<Record<TransactionState, Readonly<Record<Ahead, Described>>>> = {
  Empty: ahead('behind', 'moved-on', 'moved-on'),
  Ongoing: ahead('open', 'moved-on', 'moved-on'),
  PrepareCommit: ahead('committed', 'moved-on', 'moved-on'),
  CompleteCommit: ahead('committed', 'moved-on', 'moved-on'),
  PrepareAbort: ahead('aborted', 'fenced', 'moved-on'),
  CompleteAbort: ahead('aborted', 'fenced', 'moved-on'),
  PrepareEpochFence: ahead('fenced', 'fenced', 'moved-on'),
  Dead: ahead('not-found', 'not-found', 'not-found'),
}

function ahead(same: Described, one: Described, two: Described): Readonly<Record<Ahead, Described>> {
  return { behind: 'behind', same, one, two, 'another producer id': 'moved-on' }
}

const epochsAhead: Readonly<Record<Ahead, number>> = { behind: -1, same: 0, one: 1, two: 2, 'another producer id': 0 }

describe('the description of a transaction', () => {
  const handle = { producerId: 7, producerEpoch: 3 }
  const description = {
    errorCode: 0,
    transactionalId: 'id',
    state: 'Ongoing' as const,
    timeoutMs: 1,
    startedAtMs: 1,
    topics: [],
    ...handle,
  }

  for (const state of TRANSACTION_STATES) {
    for (const [distance, expected] of Object.entries(states[state]) as [Ahead, Described][]) {
      test(`${state}, ${distance}: ${expected}`, () => {
        const producerEpoch = handle.producerEpoch + epochsAhead[distance]
        const producerId = distance === 'another producer id' ? 8 : 7
        expect(describedAs(handle, { ...description, state, producerId, producerEpoch })).toBe(expected)
      })
    }
  }

  test('an id that is not known is not found; any other error, and no answer, says nothing', () => {
    expect(describedAs(handle, { ...description, state: undefined, errorCode: 105 })).toBe('not-found')
    for (const errorCode of [14, 15, 16, 53, -1]) {
      expect(describedAs(handle, { ...description, state: undefined, errorCode })).toBe('unanswered')
    }
    expect(describedAs(handle, undefined)).toBe('unanswered')
  })
})

describe('an answer to EndTxn', () => {
  const codes: Readonly<Record<Exclude<Ended, 'not-asked'>, readonly number[]>> = {
    done: [0],
    refused: [47, 48, 49, 90],
    unclear: [14, 15, 16, 51, 7, -1, 35],
  }
  for (const [ended, all] of Object.entries(codes)) {
    test(`${ended}: ${all.join()}`, () => {
      for (const code of all) expect(endedAs(code)).toBe(ended)
    })
  }
})
