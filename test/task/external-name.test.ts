import { expect, test } from 'vitest'
import { externalNames, generationOfName } from '../../engine/task/external-name.ts'

const parts = { job: 'my-job', lineage: 'abcdefgh', generation: 12, operator: 'out.a-b', subtask: 3 }

test('names are never given twice, are safe in paths and ids, and hold their generation (C5)', () => {
  const next = externalNames(parts)
  const names = Array.from({ length: 1_000 }, () => next())
  expect(new Set(names).size).toBe(1_000)
  for (const name of names) {
    expect(name).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(generationOfName(name, 'my-job--')).toBe(12)
  }
  expect(names[0]).toBe('my-job--abcdefgh--00000012--out.a-b--0003--000000001')
})

test('names of other generations, operators and subtasks differ', () => {
  const names = [parts, { ...parts, generation: 13 }, { ...parts, operator: 'out.a' }, { ...parts, subtask: 4 }].map(
    (one) => externalNames(one)(),
  )
  expect(new Set(names).size).toBe(4)
})

test('what is not a name of this job has no generation', () => {
  for (const name of [
    '',
    'readme.txt',
    'my-job--',
    'my-job--abcdefgh--x--out--0000--000000001',
    'your-job--abcdefgh--00000001--o--0000--000000001',
  ])
    expect(generationOfName(name, 'my-job--')).toBeUndefined()
})
