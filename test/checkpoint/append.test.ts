import { expect, test } from 'vitest'
import { decideAppend, waymarkBefore, type AppendDecision, type AppendFacts } from '../../engine/checkpoint/append.ts'
import { sampleEntry } from './samples.ts'

type Ours = 'started' | 'completed'
const EVENTS = [
  'created',
  'unclear',
  'in doubt',
  'exists, unreadable',
  'exists, ours',
  'exists, older generation',
  'exists, same generation, another process',
  'exists, newer generation',
] as const
type Event = (typeof EVENTS)[number]

const ours: Record<Ours, AppendFacts['ours']> = {
  started: sampleEntry({ kind: 'started', generation: 5, nonce: 'mine' }),
  completed: sampleEntry({ kind: 'completed', generation: 5, nonce: 'mine' }),
}

const events: Record<Event, Pick<AppendFacts, 'answer' | 'found'>> = {
  created: { answer: 'created', found: undefined },
  unclear: { answer: 'unclear', found: undefined },
  'in doubt': { answer: 'in-doubt', found: undefined },
  'exists, unreadable': { answer: 'exists', found: undefined },
  'exists, ours': { answer: 'exists', found: sampleEntry({ generation: 5, nonce: 'mine' }) },
  'exists, older generation': { answer: 'exists', found: sampleEntry({ generation: 4, nonce: 'other' }) },
  'exists, same generation, another process': {
    answer: 'exists',
    found: sampleEntry({ generation: 5, nonce: 'other' }),
  },
  'exists, newer generation': { answer: 'exists', found: sampleEntry({ generation: 6, nonce: 'other' }) },
}

const appended: AppendDecision = { kind: 'appended', replyWasLost: false }
const lostReply: AppendDecision = { kind: 'appended', replyWasLost: true }
const askAgain: AppendDecision = { kind: 'ask-again' }

const table: Record<Ours, Record<Event, AppendDecision>> = {
  started: {
    created: appended,
    unclear: askAgain,
    'in doubt': { kind: 'in-doubt' },
    'exists, unreadable': askAgain,
    'exists, ours': lostReply,
    'exists, older generation': { kind: 'try-next' },
    'exists, same generation, another process': { kind: 'fenced', by: 5 },
    'exists, newer generation': { kind: 'fenced', by: 6 },
  },
  completed: {
    created: appended,
    unclear: askAgain,
    'in doubt': { kind: 'in-doubt' },
    'exists, unreadable': askAgain,
    'exists, ours': lostReply,
    'exists, older generation': { kind: 'fenced', by: 4 },
    'exists, same generation, another process': { kind: 'fenced', by: 5 },
    'exists, newer generation': { kind: 'fenced', by: 6 },
  },
}

for (const kind of ['started', 'completed'] as const) {
  for (const event of EVENTS) {
    test(`appending ${kind}: ${event}`, () => {
      expect(decideAppend({ ...events[event], ours: ours[kind] })).toEqual(table[kind][event])
    })
  }
}

test('a waymark comes after every thousandth entry, before the next append', () => {
  expect([1, 2, 1_000, 1_001, 1_002, 2_001].map((seq) => waymarkBefore(seq))).toEqual([
    undefined,
    undefined,
    undefined,
    1,
    undefined,
    2,
  ])
})
