import { expect, test } from 'vitest'
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
import { abortStale, scopesByOperator } from '../../engine/coordinator/recovery.ts'
import { externalNames, generationPrefix, isOlderName } from '../../engine/task/external-name.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { permitToCommit, permitToSweep } from '../conformance/permit.ts'

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
  const scopes = scopesByOperator(entry, 2)
  expect(scopes.get('out')?.map((one) => [one.namePrefix, one.isStale, Buffer.from(one.scope).toString()])).toEqual([
    ['job--oldlineage--00000001--out--', true, 'place'],
    ['job--newlineage--00000002--out--', false, 'place'],
  ])
  expect(scopes.get('other')).toHaveLength(1)
  expect(scopes.get('none')).toBeUndefined()
})

test('a sink is asked to abort what it left itself, never what another sink of the job left in the same place', async () => {
  const seen: StaleScope<unknown>[] = []
  const remember: Partial<Committer<unknown>> = {
    abortStale: async (_permit, stale) => {
      seen.push(stale)
      return { aborted: 0, clean: true }
    },
  }
  const parts = { job: 'conformance', lineage: 'abcdefgh', generation: 1 }
  const scope = (operator: string) => ({
    scope: new Uint8Array([1]),
    namePrefix: generationPrefix({ ...parts, operator }),
    isStale: true,
  })
  const clean = await abortStale(
    {
      permit: permitToSweep(2),
      scopes: new Map([
        ['one', [scope('one')]],
        ['two', [scope('two')]],
      ]),
      isStale: (operator, name) =>
        isOlderName(name, { job: parts.job, lineages: new Set([parts.lineage]), operator, below: 2 }),
      keep: [],
    },
    [sinkOf('one', remember), sinkOf('two', remember)],
    silent,
  )
  expect(clean).toBe(true)
  const names = ['one', 'two'].map((operator) => externalNames({ ...parts, operator, subtask: 0 })())
  expect(seen.map((stale) => names.map((name) => stale.isStale(name)))).toEqual([
    [true, false],
    [false, true],
  ])
  for (const [index, stale] of seen.entries()) {
    expect(stale.scopes).toHaveLength(1)
    expect(names[index]?.startsWith(stale.scopes[0]?.namePrefix ?? 'none')).toBe(true)
  }
})
