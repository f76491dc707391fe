import { expect, test } from 'vitest'
import { externalNames, generationPrefix, isOlderName, longestName } from '../../engine/task/external-name.ts'

const parts = { job: 'my-job', lineage: 'abcdefgh', generation: 12, operator: 'out.a-b', subtask: 3 }
const owner = { job: 'my-job', lineages: new Set(['abcdefgh']), operator: 'out.a-b' }

test('names are never given twice, are safe in paths and ids, and hold their generation (C5)', () => {
  const next = externalNames(parts)
  const names = Array.from({ length: 1_000 }, () => next())
  expect(new Set(names).size).toBe(1_000)
  for (const name of names) {
    expect(name).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(name.startsWith(generationPrefix(parts))).toBe(true)
    expect(isOlderName(name, { ...owner, below: 13 })).toBe(true)
    expect(isOlderName(name, { ...owner, below: 12 })).toBe(false)
  }
  expect(names[0]).toBe('my-job--abcdefgh--00000012--out.a-b--0003--000000001')
})

test('names of other generations, operators and subtasks differ', () => {
  const names = [parts, { ...parts, generation: 13 }, { ...parts, operator: 'out.a' }, { ...parts, subtask: 4 }].map(
    (one) => externalNames(one)(),
  )
  expect(new Set(names).size).toBe(4)
})

test("another operator's or job's name is never an older one, whatever its generation", () => {
  const name = externalNames(parts)()
  for (const operator of ['out.a', 'b', 'out.a--b--0003', '12--out.a--b'])
    expect(isOlderName(name, { ...owner, operator, below: 13 })).toBe(false)
  for (const job of ['my', 'my-job--abcdefgh', 'job'])
    expect(isOlderName(name, { ...owner, job, below: 13 })).toBe(false)
})

test('a name of another history is never an older one: another store may hold a job of the same id', () => {
  const name = externalNames({ ...parts, lineage: 'zyxwvuts' })()
  expect(isOlderName(name, { ...owner, below: 13 })).toBe(false)
  expect(isOlderName(name, { ...owner, lineages: new Set(['abcdefgh', 'zyxwvuts']), below: 13 })).toBe(true)
})

test('what is not a name of this job is not an older one', () => {
  for (const name of [
    '',
    'readme.txt',
    'my-job--',
    'my-job--abcdefgh--x--out--0000--000000001',
    'your-job--abcdefgh--00000001--out--0000--000000001',
  ])
    expect(isOlderName(name, { ...owner, operator: 'out', below: 99 })).toBe(false)
})

test('no name of an operator is longer than the longest', () => {
  const longest = longestName('my-job', 'out')
  const name = externalNames({ job: 'my-job', lineage: 'l'.repeat(32), generation: 7, operator: 'out', subtask: 12 })()
  expect(name).toHaveLength(longest.length)
})
