/** Operator state of one subtask: values that come back as they were, and cuts that stay what they were. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantViolation } from '../../engine/api/index.ts'
import type { ListState, MapState } from '../../engine/graph/descriptors.ts'
import { INLINE_BYTES } from '../../engine/state/operator-state-handle.ts'
import { OperatorStateBackend, storeOperatorState } from '../../engine/state/operator-state.ts'
import { all, blobs, contents, heldBy, listOf, mapOf, restore, snapshot } from './operator-state-under-test.ts'

describe('values', () => {
  test('come back as they were', async () => {
    const values = [
      undefined,
      null,
      -0,
      Number.NaN,
      2 ** 31,
      0.5,
      'ü',
      true,
      7n,
      new Date(5),
      new Map([[1, new Set(['x'])]]),
      [{ a: 1 }, { a: undefined }],
      new Uint8Array([1, 2]),
    ]
    const backend = new OperatorStateBackend(all)
    listOf(backend).set(values)
    for (const one of values) listOf(backend, 'union').add(one)
    for (const [index, one] of values.entries()) mapOf(backend).set(index, one)
    const [restored] = await restore(await snapshot([backend]), 1)
    expect(restored && contents(restored)).toStrictEqual(contents(backend))
    expect(restored && listOf(restored).get()).toStrictEqual(values)
  })

  test('of a map come back under the keys they had, in the order they were set', async () => {
    const backend = new OperatorStateBackend(all)
    const rules = mapOf(backend)
    for (const key of ['b', 1, '1', true, 7n, 'a']) rules.set(key, { of: key })
    rules.set('b', 'again')
    rules.delete(1)
    rules.set(1, 'last')
    const [restored] = await restore(await snapshot([backend]), 1)
    const keys = ['b', '1', true, 7n, 'a', 1]
    for (const map of [rules, mapOf(restored ?? backend)]) {
      expect([...map.entries()].map(([key]) => key)).toEqual(keys)
      expect([map.get('b'), map.get(true), map.has('x'), map.get('x')]).toEqual([
        'again',
        { of: true },
        false,
        undefined,
      ])
    }
    rules.clear()
    expect([...rules.entries()]).toEqual([])
    expect(() => rules.set(Object(1), 1)).toThrow(/object is not a key of a map state/)
  })

  test('that state cannot keep are refused with their path, when the cut is taken', () => {
    for (const no of [() => 1, new (class Order {})(), { a: [Symbol('s')] }, 'a\ud800']) {
      const backend = new OperatorStateBackend(all)
      listOf(backend).add(no)
      expect(() => backend.cut(0)).toThrow(/^operator state "split".* holds .*keep plain objects/)
    }
  })

  test('that are frozen refuse to be changed in place', () => {
    const backend = new OperatorStateBackend(all, { freeze: true })
    listOf(backend).add({ n: 1 })
    mapOf(backend).set('k', new Map())
    expect(() => Object.assign(listOf(backend).get()[0] ?? {}, { n: 2 })).toThrow(/read only/)
    expect(() => (mapOf(backend).get('k') as Map<string, number>).set('x', 1)).toThrow(/in place/)
  })
})

describe('a cut', () => {
  test('of few bytes lies in the manifest, of more in one blob', async () => {
    const backend = new OperatorStateBackend({ split: { kind: 'split-list' }, more: { kind: 'union-list' } })
    const before = blobs.held.size
    listOf(backend).set(['x'.repeat(INLINE_BYTES - 200)])
    const small = await storeOperatorState(backend.cut(0), blobs.put)
    expect(blobs.held.size).toBe(before)
    expect(small).toEqual({
      format: 1,
      descriptors: { split: { kind: 'split-list' }, more: { kind: 'union-list' } },
      inline: expect.stringMatching(/^[\w+/]{2400,}=*$/),
    })
    listOf(backend, 'more').set(['x'.repeat(INLINE_BYTES)])
    const large = await storeOperatorState(backend.cut(0), blobs.put)
    expect(blobs.held.size).toBe(before + 1)
    expect('blob' in large && blobs.held.get(large.blob.key)?.byteLength).toBe('blob' in large && large.blob.sizeBytes)
  })

  test('of small state is all encoded: nothing that happens later reaches it (F31)', async () => {
    const backend = new OperatorStateBackend(all)
    const mine = { n: 1 }
    listOf(backend).add(mine)
    mapOf(backend).set('k', mine)
    const cut = backend.cut(0)
    mine.n = 2
    listOf(backend).add('later')
    mapOf(backend).set('k', 'later')
    const held = await heldBy(cut)
    expect(contents(held)).toEqual({ split: [{ n: 1 }], union: [], rules: [['k', { n: 1 }]] })
  })

  test('of large state is encoded in slices, none of which is more than its bound (T3)', async () => {
    const backend = new OperatorStateBackend(all)
    const entry = (index: number) => ({ index, text: 'x'.repeat(1_000) })
    const count = 3_000
    for (let index = 0; index < count; index += 1) listOf(backend).add(entry(index))
    const cut = backend.cut(0)
    let slices = 1
    while (!cut.encodeSlice()) slices += 1
    // A slice of 192 KiB, and what the last section of it was over.
    expect(slices).toBeGreaterThanOrEqual(Math.floor((count * 1_000) / (256 * 1024)))
    const held = listOf(await heldBy(cut)).get()
    expect(held).toHaveLength(count)
    expect(held.every((one, index) => JSON.stringify(one) === JSON.stringify(entry(index)))).toBe(true)
  })

  test('that is given up leaves nothing behind, and does not speak for the next one (F30)', async () => {
    const backend = new OperatorStateBackend(all)
    const values = Array.from({ length: 600 }, (_, index) => ({ index, text: 'x'.repeat(1_000) }))
    listOf(backend).set(values)
    const first = backend.cut(0)
    expect(first.encodeSlice()).toBe(false)
    const second = backend.cut(0)
    first.abandon()
    first.abandon()
    expect(() => first.finish()).toThrow(InvariantViolation)
    expect(() => second.finish()).toThrow(/that is encoding cannot be finished/)
    for (const one of listOf(backend).get()) Object.assign(one as object, { text: 'changed' })
    const held = listOf(await heldBy(second)).get()
    expect(held.filter((one) => (one as { text: string }).text === 'changed')).toEqual([])
    expect(held).toHaveLength(600)
  })
})

interface Box {
  n: number
  readonly padding: string
}
const padding = 'x'.repeat(3_000)
const steps = fc.array(
  fc.record({
    op: fc.constantFrom('add', 'set', 'clear', 'change-list', 'put', 'put', 'delete', 'change-map', 'slice', 'slice'),
    n: fc.nat(150),
  }),
  { maxLength: 60 },
)

const numbersIn = (backend: OperatorStateBackend) => ({
  split: (backend.handles['split'] as ListState<Box>).get().map(({ n }) => n),
  rules: [...(backend.handles['rules'] as MapState<number, Box>).entries()].map(([key, { n }]) => [key, n]),
})

test('a cut holds what was there, whatever functions write or change in place while it is encoded (C4, F31)', async () => {
  await fc.assert(
    fc.asyncProperty(steps, steps, async (before, after) => {
      const backend = new OperatorStateBackend(all)
      const split = backend.handles['split'] as ListState<Box>
      const rules = backend.handles['rules'] as MapState<number, Box>
      const box = (n: number): Box => ({ n, padding })
      const run = ({ op, n }: { readonly op: string; readonly n: number }): void => {
        if (op === 'add') split.add(box(n))
        if (op === 'set')
          split.set(
            split
              .get()
              .slice(n % 20)
              .concat(box(n)),
          )
        if (op === 'clear' && n < 5) split.clear()
        if (op === 'clear' && n > 145) rules.clear()
        if (op === 'change-list') for (const one of split.get()) Object.assign(one, { n: -1 - n })
        if (op === 'put') rules.set(n, box(n))
        if (op === 'delete') rules.delete(n)
        if (op === 'change-map') Object.assign(rules.get(n) ?? {}, { n: -1 - n })
      }
      // The first slice is half of the list.
      for (let n = 0; n < 120; n += 1) {
        split.add(box(n))
        rules.set(n, box(n))
      }
      for (const step of before) run(step)
      const expected = numbersIn(backend)
      const cut = backend.cut(0)
      for (const step of after) {
        if (step.op === 'slice') cut.encodeSlice()
        else run(step)
      }
      expect(numbersIn(await heldBy(cut))).toEqual(expected)
    }),
    { numRuns: 100 },
  )
})
