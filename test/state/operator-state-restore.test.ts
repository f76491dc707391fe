/** Operator state of a whole operator: rescales, edits of the job, and damage that is named. */
import { describe, expect, test } from 'vitest'
import { CorruptCheckpointError, TerminalError } from '../../engine/api/index.ts'
import type { OperatorStateHandle } from '../../engine/checkpoint/manifest.ts'
import { decodeHandle } from '../../engine/state/operator-state-handle.ts'
import { OperatorStateBackend, storeOperatorState } from '../../engine/state/operator-state.ts'
import {
  all,
  blobs,
  contents,
  listOf,
  mapOf,
  partOf,
  restore,
  restoreOne,
  snapshot,
  type Descriptors,
} from './operator-state-under-test.ts'

/** 1 → 2 → 3 → 5 → 6 → 5 → 2 → 5 → 3 → 2 → 1 */
const chain = [2, 3, 5, 6, 5, 2, 5, 3, 2, 1]

test('through ten rescales every entry of a split list is in one subtask, of a union list in each, and all maps are alike (F23)', async () => {
  let backends: readonly OperatorStateBackend[] = [new OperatorStateBackend(all)]
  const split: string[] = []
  const union = new Set<string>()
  const rules = new Map<string, number>()
  for (const [round, parallelism] of chain.entries()) {
    for (const [subtask, backend] of backends.entries()) {
      for (let index = 0; index <= subtask; index += 1) {
        const value = `${round}.${subtask}.${index}${'x'.repeat(300)}`
        split.push(value)
        listOf(backend).add(value)
      }
      listOf(backend, 'union').set([`${round}.${subtask}`])
      mapOf(backend).set(`rule ${round}`, round)
    }
    rules.set(`rule ${round}`, round)
    union.clear()
    for (const subtask of backends.keys()) union.add(`${round}.${subtask}`)
    backends = await restore((await snapshot(backends)).toReversed(), parallelism)
    expect(backends).toHaveLength(parallelism)
    const shares = backends.map((backend) => listOf(backend).get())
    expect(shares.flat()).toHaveLength(split.length)
    expect(new Set(shares.flat())).toEqual(new Set(split))
    expect(
      Math.max(...shares.map(({ length }) => length)) - Math.min(...shares.map(({ length }) => length)),
    ).toBeLessThan(2)
    for (const backend of backends) {
      expect(listOf(backend, 'union').get()).toEqual([...union])
      expect([...mapOf(backend).entries()]).toEqual([...rules])
    }
  }
})

test('at the same parallelism a subtask has its own entries of a split list, and all of a union list', async () => {
  const backends = [0, 1].map(() => new OperatorStateBackend(all))
  for (const [subtask, backend] of backends.entries()) {
    listOf(backend).set(subtask === 0 ? ['a', 'b', 'c'] : ['d'])
    listOf(backend, 'union').add(subtask)
    mapOf(backend).set('k', 'v')
  }
  const parts = await snapshot(backends)
  const [first, second] = await restore(parts, 2)
  expect(first && contents(first)).toEqual({ split: ['a', 'b', 'c'], union: [0, 1], rules: [['k', 'v']] })
  expect(second && contents(second)).toEqual({ split: ['d'], union: [0, 1], rules: [['k', 'v']] })
  // Only subtask 0 has written the map.
  const written = parts.map(({ operatorState }) => operatorState && decodeHandle(operatorState, null).get('rules'))
  expect(written.map((one) => one?.entries)).toEqual([[['k', 'v']], []])
})

test('a union list is not multiplied by restarts: all see all of it, each entry is written by one (C8)', async () => {
  let backends: readonly OperatorStateBackend[] = [0, 1, 2].map(() => new OperatorStateBackend(all))
  for (const [subtask, backend] of backends.entries()) listOf(backend, 'union').set([`a${subtask}`, `b${subtask}`])
  for (const parallelism of [3, 3, 2, 5, 5, 1]) {
    backends = await restore(await snapshot(backends), parallelism)
    for (const backend of backends) expect(listOf(backend, 'union').get()).toHaveLength(6)
  }
  const [only] = backends
  expect(new Set(only && listOf(only, 'union').get())).toEqual(new Set(['a0', 'b0', 'a1', 'b1', 'a2', 'b2']))
})

describe('a job that was edited', () => {
  test('finds its states by name: new ones are empty, the order does not matter, nothing restored is empty', async () => {
    const backend = new OperatorStateBackend(all)
    listOf(backend).add(1)
    const edited = { added: { kind: 'union-list' }, rules: all['rules'], union: all['union'], split: all['split'] }
    const restored = await restoreOne(await snapshot([backend]), { subtask: 0, parallelism: 1 }, edited as Descriptors)
    expect([listOf(restored).get(), listOf(restored, 'added').get()]).toEqual([[1], []])
    const { operatorState: _, ...bare } = partOf(await storeOperatorState(backend.cut(0), blobs.put))
    for (const parts of [[], [bare]]) expect(listOf(await restoreOne(parts)).get()).toEqual([])
  })

  test('is refused where a state is gone or of another kind, with operator and state (F22)', async () => {
    const parts = await snapshot([new OperatorStateBackend(all)])
    const me = { subtask: 0, parallelism: 1 }
    const { union: _, ...without } = all
    const gone = restoreOne(parts, me, without)
    await expect(gone).rejects.toThrow(/^operator "match": the checkpoint holds state "union" \(union-list\)/)
    await expect(gone).rejects.toThrow(TerminalError)
    const changed = restoreOne(parts, me, { ...all, union: { kind: 'split-list' } })
    await expect(changed).rejects.toThrow(/^operator "match": state "union" was union-list .* is split-list now/)
  })
})

describe('damage', () => {
  const handleWith = async (text: string): Promise<OperatorStateHandle> => {
    const backend = new OperatorStateBackend(all)
    for (const [index, value] of [1, 2.5, text, { a: [text] }, undefined, -0].entries()) {
      listOf(backend).add(value)
      mapOf(backend).set(index % 2 === 0 ? index : `${index}`, value)
    }
    listOf(backend, 'union').set([1, 2, 3])
    return storeOperatorState(backend.cut(0), blobs.put)
  }

  test('is named with operator and place: bytes of somebody else, a missing blob or part', async () => {
    const inline = await handleWith('x')
    const foreign = (part: object) => restoreOne([partOf({ ...inline, ...part } as OperatorStateHandle)])
    const encoded = (text: string) => ({ inline: Buffer.from(text, 'latin1').toString('base64') })
    for (const [part, problem] of [
      [encoded(''), /operator "match": operator state in the manifest cannot be read: 1 bytes expected/],
      [encoded('{"format":1}'), /cannot be read: format 123 is not known/],
      [encoded('\u0001\u0002\0\0\0{}'), /the states are not listed/],
      [encoded('\u0001\u0010\0\0\0[["v","value",1]]'), /cannot be read/],
      [{ format: 2 }, /format 2 is not known/],
      [
        { descriptors: { ...inline.descriptors, split: { kind: 'union-list' } } },
        /it holds "split" \(split-list\), .*the manifest names/,
      ],
    ] as const) {
      await expect(foreign(part)).rejects.toThrow(problem)
      await expect(foreign(part)).rejects.toThrow(CorruptCheckpointError)
    }
    const large = await handleWith('x'.repeat(4_000))
    const key = 'blob' in large ? large.blob.key : ''
    blobs.held.set(key, blobs.held.get(key)?.subarray(0, 900) ?? new Uint8Array())
    await expect(restoreOne([partOf(large)])).rejects.toThrow(
      `operator "match": operator state in ${key} cannot be read`,
    )
    blobs.held.delete(key)
    await expect(restoreOne([partOf(large)])).rejects.toThrow(`operator "match": ${key} is missing`)
    await expect(restoreOne([partOf(inline, 1, 2)])).rejects.toThrow(/"match".*one part of each subtask.*1 of 2/)
  })

  test('of any byte, or an end that is missing, is a damaged checkpoint and no other error', async () => {
    const handle = await handleWith('x')
    const bytes = Buffer.from('inline' in handle ? handle.inline : '', 'base64')
    expect(bytes.byteLength).toBeGreaterThan(200)
    const damaged = (change: (copy: Buffer) => Buffer): string => {
      try {
        decodeHandle(
          { format: 1, descriptors: handle.descriptors, inline: change(Buffer.from(bytes)).toString('base64') },
          null,
        )
        return 'read'
      } catch (error) {
        return error instanceof CorruptCheckpointError ? 'corrupt' : String(error)
      }
    }
    const found = new Set<string>()
    for (let at = 0; at < bytes.byteLength; at += 1) {
      for (const flip of [0x01, 0x80, 0xff]) {
        found.add(
          damaged((copy) => {
            copy.writeUInt8(copy.readUInt8(at) ^ flip, at)
            return copy
          }),
        )
      }
      found.add(damaged((copy) => copy.subarray(0, at)))
    }
    // A value may be another one: blobs and manifests have their checksums for that.
    expect(found).toEqual(new Set(['read', 'corrupt']))
  })
})
