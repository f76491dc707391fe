import { expect, test } from 'vitest'
import {
  decideFlight,
  decideTrigger,
  triggerWaitMs,
  type CheckpointPolicy,
  type TriggerDecision,
  type TriggerFacts,
} from '../../engine/checkpoint/trigger.ts'

const policy: CheckpointPolicy = {
  intervalMs: 1_000,
  minPauseMs: 200,
  timeoutMs: 5_000,
  toleratedFailures: 2,
  maxUncommittedEpochs: 4,
}

type State = 'free' | 'in flight' | 'too many uncommitted' | 'pausing'
type Event = 'nothing' | 'interval over' | 'wanted'

const states: Record<State, Pick<TriggerFacts, 'inFlight' | 'uncommitted' | 'sinceResolvedMs'>> = {
  free: { inFlight: false, uncommitted: 3, sinceResolvedMs: 200 },
  'in flight': { inFlight: true, uncommitted: 4, sinceResolvedMs: 0 },
  'too many uncommitted': { inFlight: false, uncommitted: 4, sinceResolvedMs: 0 },
  pausing: { inFlight: false, uncommitted: 0, sinceResolvedMs: 199 },
}
const events: Record<Event, Pick<TriggerFacts, 'sinceTriggerMs' | 'wanted'>> = {
  nothing: { sinceTriggerMs: 999, wanted: false },
  'interval over': { sinceTriggerMs: 1_000, wanted: false },
  wanted: { sinceTriggerMs: 0, wanted: true },
}
const wait = (reason: Extract<TriggerDecision, { kind: 'wait' }>['for']): Record<Event, TriggerDecision> => {
  const decision = { kind: 'wait', for: reason } as const
  return { nothing: decision, 'interval over': decision, wanted: decision }
}
const table: Record<State, Record<Event, TriggerDecision>> = {
  free: {
    nothing: { kind: 'wait', for: 'interval' },
    'interval over': { kind: 'trigger' },
    wanted: { kind: 'trigger' },
  },
  'in flight': wait('in-flight'),
  'too many uncommitted': wait('commits'),
  pausing: wait('pause'),
}

for (const state of ['free', 'in flight', 'too many uncommitted', 'pausing'] as const) {
  for (const event of ['nothing', 'interval over', 'wanted'] as const) {
    test(`${state}, ${event}`, () => {
      expect(decideTrigger(policy, { ...states[state], ...events[event] })).toEqual(table[state][event])
    })
  }
}

test('a checkpoint in flight is waited for until its time is over', () => {
  const facts = { ageMs: 4_999, failuresInARow: 0, isDeclined: false }
  expect(decideFlight(policy, facts)).toEqual({ kind: 'wait' })
  expect(decideFlight(policy, { ...facts, ageMs: 5_000 })).toEqual({ kind: 'abandon', why: 'timeout' })
  expect(decideFlight(policy, { ...facts, isDeclined: true })).toEqual({ kind: 'abandon', why: 'declined' })
})

test('as many failures in a row as are tolerated are tolerated, one more fails the attempt', () => {
  const kinds = [0, 1, 2, 3].map(
    (failuresInARow) => decideFlight(policy, { ageMs: 0, failuresInARow, isDeclined: true }).kind,
  )
  expect(kinds).toEqual(['abandon', 'abandon', 'fail', 'fail'])
  const none = { ...policy, toleratedFailures: 0 }
  expect(decideFlight(none, { ageMs: 0, failuresInARow: 0, isDeclined: true }).kind).toBe('fail')
})

test('what says by itself that it is over is not looked at; pause and interval are slept through', () => {
  const waits = (state: State, event: Event): number => triggerWaitMs(policy, { ...states[state], ...events[event] })
  expect(waits('in flight', 'interval over')).toBe(Number.POSITIVE_INFINITY)
  expect(waits('too many uncommitted', 'wanted')).toBe(Number.POSITIVE_INFINITY)
  expect(waits('pausing', 'wanted')).toBe(1)
  expect(waits('free', 'nothing')).toBe(1)
  expect(waits('free', 'wanted')).toBe(0)
})
