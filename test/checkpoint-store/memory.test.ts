import { expect, test } from 'vitest'
import { memoryStore } from '../../checkpoint-store/memory.ts'

const bytes = new TextEncoder().encode('x')

test('a throw before an operation prevents it, a throw after it only loses the answer', async () => {
  const before = memoryStore({
    before: ({ name }) => {
      if (name === 'create') throw new Error('before')
    },
  })
  await expect(before.create('a', bytes)).rejects.toThrow('before')
  expect(before.snapshot().has('a')).toBe(false)
  const after = memoryStore({
    after: ({ name, key }) => {
      if (name === 'create') throw new Error(`after ${key}`)
    },
  })
  await expect(after.create('a', bytes)).rejects.toThrow('after a')
  expect(after.snapshot().has('a')).toBe(true)
})

test('a clone is what a restarted process finds, and goes its own way', async () => {
  const first = memoryStore()
  await first.create('a', bytes)
  const second = first.clone()
  await first.create('b', bytes)
  await second.delete('a')
  expect([...first.snapshot().keys()]).toEqual(['a', 'b'])
  expect([...second.snapshot().keys()]).toEqual([])
})
