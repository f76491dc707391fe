import { expect, test } from 'vitest'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { decidePreflight, type PreflightFacts } from '../../engine/checkpoint/preflight.ts'
import { sampleEntry, sampleManifest, sampleOperator, sampleRetained } from './samples.ts'

const state = { format: 1, descriptors: { cents: { kind: 'value' } }, blobs: [], keyGroups: [] } as const
const operators = [
  sampleOperator('orders', { splits: [{ split: { id: 's' }, position: 1, ended: false }] }),
  sampleOperator('total', { state }),
  sampleOperator('out'),
]
const newest = sampleEntry({
  kind: 'committed',
  retained: [sampleRetained(3, { operators }), sampleRetained(4, { operators })],
  committedThrough: 4,
  unclean: [{ operator: 'out', generation: 1, scope: 'AA==' }],
})
const facts: PreflightFacts = {
  job: 'orders',
  newest,
  holderAlive: false,
  takeOver: false,
  planHash: 'plan',
  settings: {},
  operators: [
    { operator: 'orders', kind: 'source' },
    { operator: 'total', kind: 'process', state: { cents: 'value' } },
    { operator: 'out', kind: 'sink', scope: 'AA==' },
  ],
  manifest: sampleManifest(4, { operators }),
  restore: 'latest',
  acceptDuplicates: false,
  acceptLoss: null,
  drop: [],
}

/** `start`, `already-finished`, or the exit code and the reason. */
function answer(part: Partial<PreflightFacts>): string {
  const decision = decidePreflight({ ...facts, ...part })
  return decision.kind === 'refuse' ? `${decision.exitCode}: ${decision.reason}` : decision.kind
}
const entry = (part: Partial<LogEntry>): LogEntry => ({ ...newest, ...part })
const without = (operator: string) => facts.operators.filter((one) => one.operator !== operator)
const finished = entry({ kind: 'ended', end: { state: 'FINISHED' } })

test('a job starts for the first time, and again', () => {
  expect(answer({ newest: undefined, manifest: undefined })).toBe('start')
  expect(answer({})).toBe('start')
})

type Newest = 'running' | 'ended'
type Holder = 'alive' | 'alive, take over' | 'dead' | 'unknown'
const holders: Record<Holder, Pick<PreflightFacts, 'holderAlive' | 'takeOver'>> = {
  alive: { holderAlive: true, takeOver: false },
  'alive, take over': { holderAlive: true, takeOver: true },
  dead: { holderAlive: false, takeOver: false },
  unknown: { holderAlive: null, takeOver: false },
}
const table: Record<Newest, Record<Holder, RegExp>> = {
  running: {
    alive: /^3: .+ process 42 on here .+--take-over/,
    'alive, take over': /^start$/,
    dead: /^start$/,
    unknown: /^start$/,
  },
  ended: { alive: /^start$/, 'alive, take over': /^start$/, dead: /^start$/, unknown: /^start$/ },
}
const newests: Record<Newest, LogEntry> = {
  running: newest,
  ended: entry({ kind: 'ended', end: { state: 'STOPPED' } }),
}
for (const what of ['running', 'ended'] as const) {
  for (const holder of ['alive', 'alive, take over', 'dead', 'unknown'] as const) {
    test(`newest entry ${what}, holder ${holder} (F13)`, () => {
      expect(answer({ newest: newests[what], ...holders[holder] })).toMatch(table[what][holder])
    })
  }
}

test('a living holder is not fenced by a mistake in the job: it comes first', () => {
  expect(answer({ holderAlive: true, operators: [] })).toMatch(/^3: /)
})

test('the log of another job is refused (F28)', () => {
  expect(answer({ job: 'other' })).toMatch(/^2: .+belongs to job "orders", not "other"/)
})

test('a finished job says so; with other settings or another plan it is refused (F24)', () => {
  expect(answer({ newest: finished })).toBe('already-finished')
  expect(answer({ newest: finished, settings: { path: 'x' } })).toMatch(/^2: .+finished with other settings/)
  expect(answer({ newest: finished, planHash: 'other' })).toMatch(/^2: .+another plan/)
  expect(answer({ newest: finished, restore: 'none', acceptDuplicates: true })).toBe('start')
  for (const state of ['STOPPED', 'CANCELED', 'FAILED'] as const)
    expect(answer({ newest: entry({ kind: 'ended', end: { state } }) })).toBe('start')
})

test('an operator whose state or positions would be lost is refused, unless dropped (F22)', () => {
  expect(answer({ operators: without('total') })).toMatch(/^2: operator "total" is gone.+state.+--drop total/)
  expect(answer({ operators: without('orders') })).toMatch(/^2: operator "orders" is gone.+positions.+--drop orders/)
  expect(answer({ operators: without('total'), drop: ['total'] })).toBe('start')
  expect(answer({ operators: without('total'), drop: ['orders'] })).toMatch(/^2: /)
})

test('an operator that is new, or had nothing, is no obstacle', () => {
  expect(answer({ operators: [...facts.operators, { operator: 'new', kind: 'process', state: {} }] })).toBe('start')
  const manifest = sampleManifest(4, { operators: [...operators, sampleOperator('nothing')] })
  expect(answer({ manifest })).toBe('start')
})

test('state that changed its kind or went away is refused; new state is not (F22)', () => {
  const withState = (cents: Readonly<Record<string, string>>) => [
    ...without('total'),
    { operator: 'total', kind: 'process', state: cents },
  ]
  expect(answer({ operators: withState({ cents: 'list' }) })).toMatch(
    /^2: state "cents" of operator "total" was value and is list/,
  )
  expect(answer({ operators: withState({}) })).toMatch(/^2: state "cents" of operator "total" is gone/)
  expect(answer({ operators: withState({}), drop: ['total'] })).toBe('start')
  expect(answer({ operators: withState({ cents: 'value', more: 'map' }) })).toBe('start')
})

test('operator state that changed its kind or went away is refused, unless dropped; new one is not (F22)', () => {
  const descriptors = { rules: { kind: 'broadcast-map' }, buffer: { kind: 'split-list' } }
  const parts = [0, 1].map((subtask) =>
    sampleOperator('match', { subtask, parallelism: 2, operatorState: { format: 1, descriptors, inline: '' } }),
  )
  const restoring = (operatorState: Readonly<Record<string, string>> | undefined, drop: readonly string[] = []) =>
    answer({
      manifest: sampleManifest(4, { operators: [...operators, ...parts] }),
      operators: operatorState === undefined ? facts.operators : [...facts.operators, { ...match, operatorState }],
      drop,
    })
  const match = { operator: 'match', kind: 'connect', state: {} }
  expect(restoring({ rules: 'broadcast-map', buffer: 'split-list', more: 'union-list' })).toBe('start')
  expect(restoring({ rules: 'broadcast-map', buffer: 'union-list' })).toBe(
    '2: operator state "buffer" of operator "match" was split-list and is union-list now: use another name, or --drop match',
  )
  expect(restoring({ buffer: 'split-list' })).toMatch(/^2: operator state "rules" of operator "match" is gone[^;]+$/)
  expect(restoring(undefined)).toMatch(/^2: operator "match" is gone, but the checkpoint holds its state[^;]+$/)
  for (const now of [undefined, {}, { buffer: 'union-list' }]) expect(restoring(now, ['match'])).toBe('start')
})

test('keyed state and operator state of one name are not each other (F22)', () => {
  const moved = { operator: 'total', kind: 'process', operatorState: { cents: 'value' } }
  expect(answer({ operators: [...without('total'), moved] })).toMatch(/^2: state "cents" of operator "total" is gone/)
})

test('a source that became something else, and other key groups, are refused', () => {
  expect(answer({ operators: [...without('orders'), { operator: 'orders', kind: 'map' }] })).toMatch(
    /^2: .+was a source/,
  )
  expect(answer({ maxParallelism: 64 })).toMatch(/^2: .+128 key groups, the job into 64/)
  expect(answer({ maxParallelism: 128 })).toBe('start')
})

test('a sink that is gone or elsewhere is refused while it may have left something, drop list or not', () => {
  expect(answer({ operators: without('out'), drop: ['out'] })).toMatch(/^2: sink "out" is gone while its leftovers/)
  const moved = [...without('out'), { operator: 'out', kind: 'sink', scope: 'BB==' }]
  expect(answer({ operators: moved, drop: ['out'] })).toMatch(/^2: sink "out" writes to another place/)
  const clean = entry({ unclean: [] })
  expect(answer({ newest: clean, operators: without('out') })).toBe('start')
  expect(answer({ newest: clean, operators: moved })).toBe('start')
})

test('a scope that differs only by parallelism is not another place (F34)', () => {
  const rescaled = { operator: 'out', kind: 'sink', scope: 'BB==', formerScopes: ['AA=='] }
  expect(answer({ operators: [...without('out'), rescaled] })).toBe('start')
})

test('a sink whose commits are due is refused when gone, even with nothing unclean', () => {
  const committable = { generation: 1, checkpoint: 4, operator: 'out', subtask: 0, index: 0, version: 1, bytes: '' }
  const due = [sampleRetained(4, { operators: [sampleOperator('out', { committables: [committable] })] })]
  const uncommitted = entry({ retained: due, committedThrough: 3, unclean: [] })
  const gone = { operators: without('out'), drop: ['out'] }
  expect(answer({ newest: uncommitted, ...gone })).toMatch(/^2: sink "out" is gone, but its commits are due/)
  expect(answer({ newest: { ...uncommitted, committedThrough: 4 }, ...gone })).toBe('start')
  expect(answer({ newest: entry({ unclean: [] }), ...gone, dueSinks: ['out'] })).toMatch(/^2: .+commits are due/)
})

test('going back needs a word about duplicates, and a checkpoint that is still there', () => {
  expect(answer({ restore: 3 })).toMatch(/^2: --restore 3 goes back behind checkpoint 4.+--accept-duplicates/)
  expect(answer({ restore: 3, acceptDuplicates: true })).toBe('start')
  expect(answer({ restore: 4 })).toBe('start')
  expect(answer({ restore: 2, acceptDuplicates: true })).toMatch(/^2: .+no checkpoint 2; retained are 3, 4/)
  expect(answer({ restore: 'none', manifest: undefined })).toMatch(/^2: .+--accept-duplicates/)
  expect(answer({ newest: undefined, manifest: undefined, restore: 2 })).toMatch(/^2: .+has no checkpoint 2/)
})

test('only a loss that is due can be accepted', () => {
  expect(answer({ acceptLoss: 4 })).toMatch(/^2: --accept-loss 4: no commit of that checkpoint is due/)
  expect(answer({ newest: entry({ committedThrough: 3 }), acceptLoss: 4 })).toBe('start')
})

test('all problems are said at once', () => {
  const reason = answer({ operators: [] })
  expect(reason).toMatch(/"orders".+"total".+"out"/)
})

test('a restore that was begun and not done is not forgotten: latest is refused, a word is not (exit 2)', () => {
  const restoring = { kind: 'savepoint', uri: 'file:saved', sha256: 'x' } as const
  const pending = entry({ kind: 'started', restoring })
  expect(answer({ newest: pending, holderAlive: false })).toMatch(
    /^2: job "orders" was last run with --restore file:saved and ended before that was done; say it again, or go on with --restore 4/,
  )
  expect(answer({ newest: pending, holderAlive: false, restore: 4 })).toBe('start')
  expect(answer({ newest: pending, holderAlive: false, restore: 3, acceptDuplicates: true })).toBe('start')
  const empty = { ...pending, retained: [], unclean: [] }
  expect(answer({ newest: empty, holderAlive: false, manifest: undefined })).toMatch(
    /or begin anew with --restore none/,
  )
  expect(answer({ newest: empty, holderAlive: false, manifest: undefined, restore: 'none' })).toBe('start')
})

const description = {
  format: 1,
  job: 'parent',
  lineage: 'zyxwvuts9876',
  generation: 1,
  checkpoint: 9,
  final: false,
  at: 0,
  copiedAt: 0,
  maxParallelism: 128,
  run: { generation: 1, planHash: 'plan', codeIdentity: 'code', parallelism: 1, settings: {} },
  manifest: { key: 'blob/m', sizeBytes: 1, sha256: 'm' },
  blobs: [],
  sizeBytes: 1,
  openSinks: [],
} as const
const savepoint = { uri: 'file:saved', description }

test('a savepoint is looked at as a checkpoint is: state, positions and key groups must fit', () => {
  const fork = { newest: undefined, restore: 'savepoint', savepoint } as const
  expect(answer(fork)).toBe('start')
  expect(answer({ ...fork, operators: without('total') })).toMatch(/^2: operator "total" is gone/)
  expect(answer({ ...fork, operators: without('orders'), drop: ['orders'] })).toBe('start')
  expect(answer({ ...fork, maxParallelism: 64 })).toMatch(/^2: .*divided into 128 key groups, the job into 64/)
  // In a log that has something newer it goes back, and that needs a word.
  expect(answer({ ...fork, newest })).toMatch(
    /^2: --restore file:saved goes back behind checkpoint 4: .*--accept-duplicates/,
  )
  expect(answer({ ...fork, newest, acceptDuplicates: true })).toBe('start')
  const mine = {
    uri: 'file:saved',
    description: { ...description, job: 'orders', lineage: newest.lineage, checkpoint: 4 },
  }
  expect(answer({ ...fork, newest, savepoint: mine })).toBe('start')
})

test('a savepoint behind the end, or with output of a sink that lies elsewhere, is refused', () => {
  const fork = { newest: undefined, restore: 'savepoint', savepoint } as const
  const final = { uri: 'file:saved', description: { ...description, final: true } }
  expect(answer({ ...fork, savepoint: final })).toMatch(/^2: .*after its input had ended: there is nothing left to run/)
  const held = sampleOperator('out', { writerState: { version: 1, entries: ['e30='] } })
  const open = { ...fork, manifest: sampleManifest(9, { operators: [held] }) }
  expect(answer(open)).toMatch(/^2: sink "out" had output open at checkpoint 9 .*--drop out/)
  expect(answer({ ...open, drop: ['out'] })).toBe('start')
  const portable = facts.operators.map((one) => (one.kind === 'sink' ? { ...one, isWriterStatePortable: true } : one))
  expect(answer({ ...open, operators: portable })).toBe('start')
})

test.each<[code: string, part: Partial<PreflightFacts>]>([
  ['SLUICE_STORE_OF_OTHER_JOB', { job: 'other' }],
  ['SLUICE_JOB_HELD', { holderAlive: true }],
  ['SLUICE_JOB_FINISHED', { newest: finished, planHash: 'other' }],
  ['SLUICE_CHECKPOINT_UNKNOWN', { restore: 2 }],
  ['SLUICE_CHECKPOINT_UNKNOWN', { newest: undefined, manifest: undefined, restore: 2 }],
  ['SLUICE_DUPLICATES_NOT_ACCEPTED', { restore: 3 }],
  ['SLUICE_LOSS_NOT_DUE', { acceptLoss: 4 }],
  ['SLUICE_KEY_GROUPS_CHANGED', { maxParallelism: 64 }],
  ['SLUICE_OPERATOR_GONE', { operators: without('total') }],
  ['SLUICE_OPERATOR_CHANGED', { operators: [...without('orders'), { operator: 'orders', kind: 'map' }] }],
  ['SLUICE_STATE_CHANGED', { operators: [...without('total'), { operator: 'total', kind: 'process', state: {} }] }],
  ['SLUICE_SINK_GONE', { operators: without('out') }],
  ['SLUICE_SINK_MOVED', { operators: [...without('out'), { operator: 'out', kind: 'sink', scope: 'BB==' }] }],
])('a refusal has a code: %s', (code, part) => {
  expect(decidePreflight({ ...facts, ...part })).toMatchObject({ kind: 'refuse', code })
})

test('the code of several problems is that of the first', () => {
  expect(decidePreflight({ ...facts, operators: [] })).toMatchObject({ code: 'SLUICE_OPERATOR_GONE' })
})
