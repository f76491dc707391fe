import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'
import {
  FencedError,
  InvariantViolation,
  jsonCodec,
  parseJobId,
  parseLineageId,
  TerminalError,
  type CommitOutcome,
  type Committer,
  type Sink,
  type StaleScope,
} from '../../engine/api/index.ts'
import type { Manifest, StoredCommittable } from '../../engine/checkpoint/manifest.ts'
import { commitCheckpoint, DEFAULT_COMMIT_POLICY, type SinkCommitter } from '../../engine/coordinator/committing.ts'
import { Entries } from '../../engine/coordinator/entries.ts'
import { Leftovers } from '../../engine/coordinator/leftovers.ts'
import { Retained } from '../../engine/coordinator/retained.ts'
import { scopesOf } from '../../engine/coordinator/unclean-scopes.ts'
import { externalNames } from '../../engine/task/external-name.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { permitToCommit } from '../conformance/permit.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

function sinkOf(operator: string, part: Partial<Committer<unknown>>): SinkCommitter {
  const sink: Sink<unknown, unknown, unknown> = {
    kind: 'literal',
    guarantee: 'exactly-once',
    committableCodec: jsonCodec(),
    validate: () => Promise.resolve(),
    scope: () => new Uint8Array(),
    createWriter: () => Promise.reject(new Error('no writer here')),
    createCommitter: () => Promise.reject(new Error('made already')),
  }
  const committer: Committer<unknown> = {
    commit: () => Promise.resolve([]),
    abortStale: () => Promise.resolve({ aborted: 0, clean: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...part,
  }
  return { operator, sink, committer }
}

function commit(answer: () => Promise<readonly CommitOutcome[]>): Promise<void> {
  const stored: StoredCommittable = {
    generation: 1,
    checkpoint: 1,
    operator: 'out',
    subtask: 0,
    index: 0,
    version: 1,
    bytes: Buffer.from('1').toString('base64'),
  }
  const operators = [{ operator: 'out', subtask: 0, parallelism: 1, ended: false, committables: [stored] }]
  const manifest = {
    format: 1,
    job: 'job',
    lineage: 'abcdefgh',
    generation: 1,
    checkpoint: 1,
    maxParallelism: 128,
  } as const
  return commitCheckpoint(
    permitToCommit(1, 1),
    { ...manifest, operators } satisfies Manifest,
    [sinkOf('out', { commit: answer })],
    {
      runtime: nodeRuntime(silent),
      signal: new AbortController().signal,
      policy: { ...DEFAULT_COMMIT_POLICY, initialDelayMs: 1 },
      acceptedLosses: new Set(),
      onRetry: () => undefined,
      onAnswer: () => undefined,
    },
  )
}

test.each([TerminalError, FencedError, InvariantViolation])(
  'a committer that throws a %o is not asked again: it cannot get better',
  async (Kind) => {
    const asked: number[] = []
    const committing = commit(async () => {
      asked.push(1)
      throw new Kind('no right to commit')
    })
    await expect(committing).rejects.toThrow(Kind)
    expect(asked).toHaveLength(1)
  },
)

test('a committer that throws anything else is asked again', async () => {
  let asked = 0
  await commit(async () => {
    asked += 1
    if (asked < 3) throw new Error('connection lost')
    return [{ kind: 'committed' }]
  })
  expect(asked).toBe(3)
})

test('what is not clean is told apart by generation, in the lineage it was started in', () => {
  const bytes = Buffer.from('place').toString('base64')
  const entry = {
    job: parseJobId('job'),
    lineage: parseLineageId('newlineage'),
    unclean: [
      { operator: 'out', generation: 1, lineage: parseLineageId('oldlineage'), scope: bytes },
      { operator: 'out', generation: 2, scope: bytes },
      { operator: 'other', generation: 2, lineage: parseLineageId('newlineage'), scope: bytes },
    ],
  }
  const told = (operator: string) =>
    scopesOf(entry, operator, 2).map((one) => [one.namePrefix, one.isStale, Buffer.from(one.scope).toString()])
  expect(told('out')).toEqual([
    ['job--oldlineage--00000001--out--', true, 'place'],
    ['job--newlineage--00000002--out--', false, 'place'],
  ])
  expect(told('other')).toHaveLength(1)
  expect(told('none')).toEqual([])
})

function entries(): Entries {
  const scopes = ['one', 'two'].map((operator) => ({ operator, scope: new Uint8Array([1]) }))
  return new Entries(
    {
      job: parseJobId('job'),
      newLineage: parseLineageId('abcdefgh'),
      holder: { bootId: 'b', netNamespace: 'n', socket: 's', pid: 1, host: 'h' },
      settings: {},
      codeIdentity: '',
      planHash: '',
      parallelism: 1,
      scopes,
      acceptLoss: null,
      restoringAbove: () => undefined,
    },
    nodeRuntime(silent),
  )
}

test('starts that fail again and again keep every generation in the log, and no entry grows with them (C8)', () => {
  const made = entries()
  let newest = made.started(1, undefined, 0)
  for (let seq = 2; seq <= 50; seq += 1) newest = made.started(seq, newest, 0)
  expect(newest.unclean).toHaveLength(4)
  expect(scopesOf(newest, 'one', newest.generation).map((one) => one.namePrefix)).toEqual(
    Array.from({ length: 50 }, (_, index) => `job--abcdefgh--${String(index + 1).padStart(8, '0')}--one--`),
  )
  made.cleanBelow(20)
  const cleaner = made.extend(51, newest, { kind: 'alive' })
  expect(scopesOf(cleaner, 'two', 30).map((one) => one.isStale)).toEqual(
    Array.from({ length: 31 }, (_, index) => index < 10),
  )
})

test('a sink is asked to abort what it left itself, never what another sink of the job left in the same place', async () => {
  const seen: StaleScope<unknown>[] = []
  const remember: Partial<Committer<unknown>> = {
    abortStale: async (_permit, stale) => {
      seen.push(stale)
      return { aborted: 0, clean: true }
    },
  }
  const made = entries()
  const newest = made.started(2, made.started(1, undefined, 0), 0)
  const sinks = [sinkOf('one', remember), sinkOf('two', remember)]
  const retained = new Retained(memoryStore(), [])
  const leftovers = new Leftovers({
    job: 'job',
    runtime: nodeRuntime(silent),
    sinks,
    retained,
    onAborted: () => undefined,
  })
  expect(await leftovers.abortOlder(newest)).toBe(true)
  const parts = { job: 'job', lineage: 'abcdefgh', generation: 1, subtask: 0 }
  const names = ['one', 'two'].map((operator) => externalNames({ ...parts, operator })())
  expect(seen.map((stale) => names.map((name) => stale.isStale(name)))).toEqual([
    [true, false],
    [false, true],
  ])
  for (const [index, stale] of seen.entries()) {
    expect(stale.scopes.map((one) => one.isStale)).toEqual([true, false])
    expect(names[index]?.startsWith(stale.scopes[0]?.namePrefix ?? 'none')).toBe(true)
  }
})
