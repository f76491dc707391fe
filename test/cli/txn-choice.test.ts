/** Which transactions `sluice txn commit` and `abort` end, and in which order nothing may become visible. */
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { chosenIn, type Wish } from '../../cli/txn/choice.ts'
import { isConfirmed } from '../../cli/txn/confirmation.ts'
import type { Looked, Transaction } from '../../cli/txn/subject.ts'
import type { TransactionFate } from '../../engine/api/index.ts'
import type { TransactionVerdict } from '../../engine/checkpoint/transaction-verdict.ts'
import { sampleEntry } from '../checkpoint/samples.ts'

function transaction(id: string, verdict: TransactionVerdict, checkpoint: number | null, sink = 'out'): Transaction {
  const fate: TransactionFate = verdict === 'lost' ? 'gone' : verdict === 'committed' ? 'committed' : 'open'
  const held = checkpoint === null ? null : { checkpoint, isCommitted: verdict === 'committed', subtask: 0 }
  const seen = { id, fate, state: 'x', openSince: 1, expiresAt: 2, places: ['t/0'], records: 3, details: {} }
  return { sink, verdict, held, seen }
}

function looked(...transactions: readonly Transaction[]): Looked {
  return { newest: sampleEntry({}), isRun: false, transactions, unseen: [], incomplete: [] }
}

function idsOf(facts: Looked, wish: Partial<Wish>): readonly string[] {
  const accepted = { duplicates: false, loss: false }
  return chosenIn(facts, { how: 'commit', what: 'all-due', accepted, ...wish }).map(({ seen }) => seen.id)
}

test('nothing is committed by hand before what comes before it in the same sink (C6)', () => {
  const facts = looked(
    transaction('a', 'committed', 3),
    transaction('b', 'due', 4),
    transaction('c', 'due', 5),
    transaction('d', 'due', 4, 'other'),
  )
  expect(() => idsOf(facts, { what: { id: 'c' } })).toThrow(/"c" comes behind "b" of checkpoint 4, .*--all-due/)
  expect(idsOf(facts, { what: { id: 'b' } })).toEqual(['b'])
  expect(idsOf(facts, { what: { id: 'd' } })).toEqual(['d'])
  expect(idsOf(facts, { what: 'all-due' })).toEqual(['b', 'c', 'd'])
})

test('behind what is lost only with the loss accepted, behind what is not known never (C6)', () => {
  const lost = looked(transaction('a', 'lost', 4), transaction('b', 'due', 5))
  expect(() => idsOf(lost, {})).toThrow(/"lost".*--accept-loss/)
  expect(idsOf(lost, { accepted: { duplicates: false, loss: true } })).toEqual(['b'])
  const unknown = looked(transaction('a', 'unknown', 4), transaction('b', 'due', 5))
  expect(() => idsOf(unknown, { accepted: { duplicates: true, loss: true } })).toThrow(/"unknown"/)
})

test('of an id that was used more than once the open one is meant', () => {
  const facts = looked(transaction('a', 'committed', 3), transaction('a', 'orphan', null))
  expect(idsOf(facts, { how: 'abort', what: { id: 'a' } })).toEqual(['a'])
  expect(() => idsOf(facts, { how: 'commit', what: { id: 'a' } })).toThrow(/--accept-duplicates/)
  expect(idsOf(facts, { how: 'abort', what: 'all-orphans' })).toEqual(['a'])
  expect(() => idsOf(facts, { what: { id: 'z' } })).toThrow(/no open transaction "z"/)
})

test('what has ended as was asked for is nothing to do; what ended otherwise is refused', () => {
  const facts = looked(transaction('a', 'committed', 3), transaction('b', 'lost', 4))
  expect(idsOf(facts, { what: { id: 'a' } })).toEqual([])
  expect(() => idsOf(facts, { how: 'abort', what: { id: 'a' } })).toThrow(/it is "committed"/)
  expect(idsOf(facts, { how: 'abort', what: { id: 'b' } })).toEqual([])
  expect(() => idsOf(facts, { what: { id: 'b' } })).toThrow(/it is "lost"/)
})

test.each([
  ['y\n', true],
  ['yes\n', true],
  ['n\n', false],
  ['\n', false],
  ['no way\n', false],
])('on a terminal %j is taken as %s', async (answer, expected) => {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = Object.assign(new PassThrough(), { isTTY: true })
  input.write(answer)
  expect(await isConfirmed('commit 1 transaction?', { input, output })).toBe(expected)
  expect(String(output.read())).toContain('commit 1 transaction? [y/N]')
})

test('a terminal that is closed has not said yes, and without one nobody can', async () => {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = Object.assign(new PassThrough(), { isTTY: true })
  input.end()
  expect(await isConfirmed('commit?', { input, output })).toBe(false)
  await expect(isConfirmed('commit?', { input: new PassThrough(), output })).rejects.toThrow(/--yes/)
})
