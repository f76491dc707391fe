/** What each verb says of each answer, and what is taken for a message at all. */
import { expect, test } from 'vitest'
import { say } from '../../../cli/control/answer-report.ts'
import type { Answer } from '../../../cli/control/client.ts'
import {
  encodeMessage,
  mailboxOf,
  MAX_MESSAGE_BYTES,
  parseGreeting,
  parseOutcome,
  parseRequest,
  tokenOf,
  VERBS,
  type ControlOutcome,
  type Verb,
} from '../../../cli/control/protocol.ts'
import type { EndState } from '../../../engine/checkpoint/log-entry.ts'
import { sampleEntry, sampleRetained } from '../../checkpoint/samples.ts'

const { holder } = sampleEntry()

function codeFor(verb: Verb, answer: Answer): number {
  return say(verb, { answer, holder, generation: 4 }).exitCode
}

type Codes = Record<Verb, number>
const end = { checkpoint: 7, committedThrough: 7 }

test('a job that ends while it is asked: 0 if that is what was asked for, or more', () => {
  const expected: Record<EndState, Codes> = {
    STOPPED: { stop: 0, drain: 1, cancel: 0, checkpoint: 1 },
    FINISHED: { stop: 0, drain: 0, cancel: 0, checkpoint: 1 },
    CANCELED: { stop: 1, drain: 1, cancel: 0, checkpoint: 1 },
    FAILED: { stop: 1, drain: 1, cancel: 1, checkpoint: 1 },
  }
  for (const [state, codes] of Object.entries(expected) as [EndState, Codes][]) {
    for (const verb of VERBS)
      expect([state, verb, codeFor(verb, { kind: 'ended', state, ...end })]).toEqual([state, verb, codes[verb]])
  }
})

test('a job that had ended before it was asked: 0 if it is as it was asked to be, else 2', () => {
  const expected: Record<EndState, Codes> = {
    STOPPED: { stop: 0, drain: 2, cancel: 0, checkpoint: 2 },
    FINISHED: { stop: 0, drain: 0, cancel: 0, checkpoint: 2 },
    CANCELED: { stop: 0, drain: 2, cancel: 0, checkpoint: 2 },
    FAILED: { stop: 2, drain: 2, cancel: 2, checkpoint: 2 },
  }
  for (const [state, codes] of Object.entries(expected) as [EndState, Codes][]) {
    for (const verb of VERBS)
      expect([state, verb, codeFor(verb, { kind: 'had-ended', state, ...end })]).toEqual([state, verb, codes[verb]])
  }
})

test('whatever else comes of it is 1, with a code, and says what is left', () => {
  const newest = sampleEntry({ retained: [sampleRetained(7)], committedThrough: 6 })
  const answers: readonly Answer[] = [
    { kind: 'not-completed', reason: 'declined' },
    { kind: 'refused', reason: 'too many' },
    { kind: 'broken-off', reason: 'fenced' },
    { kind: 'died', newest },
    { kind: 'succeeded', by: newest },
    { kind: 'silent', newest, silentMs: 20_000 },
    { kind: 'timed-out', isAsked: true },
    { kind: 'timed-out', isAsked: false },
  ]
  for (const answer of answers) {
    for (const verb of VERBS) {
      const said = say(verb, { answer, holder, generation: 4 })
      expect(said).toMatchObject({ exitCode: 1, outcome: answer.kind, code: expect.stringMatching(/^SLUICE_CONTROL_/) })
    }
  }
  expect(say('stop', { answer: { kind: 'died', newest }, holder, generation: 4 }).text).toBe(
    'process 42 on here died before it answered; the log ends with checkpoint 7: the next run, delivers what is due of it, goes on from there',
  )
})

test('people read what became of the job', () => {
  const text = (verb: Verb, answer: Answer): string => say(verb, { answer, holder, generation: 4 }).text
  expect(text('stop', { kind: 'ended', state: 'STOPPED', ...end })).toBe(
    'stopped with checkpoint 7, all of it committed; run again to go on',
  )
  expect(text('drain', { kind: 'ended', state: 'FINISHED', ...end })).toBe(
    'drained and finished with checkpoint 7, all of it committed',
  )
  expect(text('drain', { kind: 'ended', state: 'STOPPED', ...end })).toMatch(
    /; run again to go on; it was not drained$/,
  )
  expect(text('cancel', { kind: 'ended', state: 'CANCELED', checkpoint: 7, committedThrough: 5 })).toBe(
    'canceled without a last checkpoint; run again to go on from checkpoint 7; ' +
      'commits behind checkpoint 5 are due, and the next run delivers them',
  )
  expect(text('cancel', { kind: 'ended', state: 'CANCELED', checkpoint: null, committedThrough: 0 })).toMatch(
    /run again to begin anew$/,
  )
  expect(text('stop', { kind: 'had-ended', state: 'FAILED', ...end, reason: 'no luck' })).toBe(
    'had FAILED: no luck; it was not stopped',
  )
  expect(text('checkpoint', { kind: 'completed', checkpoint: 8, durationMs: 12.4 })).toBe(
    'checkpoint 8 completed in 12 ms, all of it committed',
  )
})

test('messages come out as they went in, and nothing else is taken for one', () => {
  const request = { job: 'orders', verb: 'stop', generation: 3 } as const
  expect(parseRequest(encodeMessage(request))).toEqual(request)
  const greeting = { job: 'orders', seq: 12, nonce: 'abc' }
  expect(parseGreeting(encodeMessage(greeting))).toEqual(greeting)
  const outcomes: readonly ControlOutcome[] = [
    { kind: 'ended', state: 'FAILED', checkpoint: null, committedThrough: 0, reason: 'no luck' },
    { kind: 'ended', state: 'STOPPED', ...end },
    { kind: 'completed', checkpoint: 3, durationMs: null },
    { kind: 'not-completed', reason: 'x' },
    { kind: 'broken-off', reason: 'x' },
    { kind: 'refused', reason: 'x' },
  ]
  for (const outcome of outcomes) expect(parseOutcome(encodeMessage(outcome))).toEqual(outcome)
  const noise = [
    '',
    'x',
    '[]',
    'null',
    '1',
    '{}',
    '{"sluice":1}',
    '{"sluice":2,"job":"orders","verb":"stop","generation":3}',
  ]
  const wrong = [
    { verb: 'format' },
    { verb: 1 },
    { generation: -1 },
    { generation: '3' },
    { job: 1 },
    { job: 'x'.repeat(MAX_MESSAGE_BYTES) },
  ]
  const texts = [...noise, ...wrong.map((part) => JSON.stringify({ sluice: 1, ...request, ...part }))]
  for (const text of texts)
    expect([parseRequest(text), parseOutcome(text), parseGreeting(text)]).toEqual([undefined, undefined, undefined])
})

test('a mailbox is that of one process, and only a name of ours makes one', () => {
  const socket = `sluice-${'0a'.repeat(16)}`
  const mailbox = mailboxOf('orders', { ...holder, socket })
  expect([mailbox?.requestKey(1), mailbox?.answerKey(2)]).toEqual([
    `orders/control/${socket}-request-1`,
    `orders/control/${socket}-answer-2`,
  ])
  expect(tokenOf('orders', mailbox?.requestKey(1) ?? '')).toBe(socket)
  for (const other of ['', 'sluice-0', '../../log/1', `${socket}/..`])
    expect(mailboxOf('orders', { ...holder, socket: other })).toBe(undefined)
  expect(tokenOf('orders', 'orders/control/other')).toBe(undefined)
})
