/** docs/failures.md names a test for every row and every mistake; here the tests are shown to be there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const text = readFileSync('docs/failures.md', 'utf8')
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (row|crash or fault|mistake|---)/.test(line))
const NOT_REACHED = ['F19']

test('every failure has a row, and a test unless it is said to be out of reach', () => {
  const listed = rows.flatMap((row) => /^\| (F\d+) /.exec(row)?.[1] ?? [])
  expect(listed).toEqual(Array.from({ length: 37 }, (_, index) => `F${index + 1}`))
  const untested = rows.filter((row) => row.includes('does not reach it')).map((row) => row.split(' ')[1])
  expect(untested).toEqual(NOT_REACHED)
  for (const row of rows) expect(row.includes('](../test/') || NOT_REACHED.includes(row.split(' ')[1] ?? '')).toBe(true)
})

test('every test that a row names is in the file that it links to', () => {
  const missing: string[] = []
  let named = 0
  for (const row of rows) {
    let file = ''
    const shownBy = row.slice(row.lastIndexOf(' | ', row.length - 3))
    for (const [, link, name] of shownBy.matchAll(/\]\(\.\.\/([^)]+)\)|"((?:\\"|[^"])+)"/g)) {
      if (link !== undefined) file = readFileSync(join('.', link), 'utf8')
      if (name === undefined) continue
      named += 1
      if (!file.includes(name.replaceAll('\\"', '"'))) missing.push(`${row.slice(0, 40)}: ${name}`)
    }
  }
  expect(missing).toEqual([])
  expect(named).toBeGreaterThan(70)
})
