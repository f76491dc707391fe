/** A checker that has never failed proves nothing: every seeded bug must be found, and the engine as it is must not. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { MUTANTS } from './mutants.ts'

const MAIN = fileURLToPath(new URL('mutants.main.ts', import.meta.url))
const run = promisify(execFile)

interface Line {
  readonly name: string
  readonly isApplied: boolean
  readonly lives: number
  readonly violation?: string
}

async function huntFor(names: readonly string[]): Promise<readonly Line[]> {
  const { stdout } = await run(process.execPath, [MAIN, ...names], { timeout: 290_000 })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

test('every seeded bug is found by name', { timeout: 300_000 }, async () => {
  const names = Object.keys(MUTANTS)
  expect(names.length).toBeGreaterThanOrEqual(45)
  const halves = [names.filter((_, index) => index % 2 === 0), names.filter((_, index) => index % 2 === 1)]
  const lines = (await Promise.all(halves.map(huntFor))).flat()
  const found = lines.filter((line) => line.violation !== undefined)
  console.log(found.map((line) => `${line.name}: life ${line.lives}: ${line.violation?.slice(0, 110)}`).join('\n'))
  expect(lines.filter((line) => !line.isApplied)).toEqual([])
  expect(lines.filter((line) => line.violation === undefined).map((line) => line.name)).toEqual([])
  expect(lines.length).toBe(names.length)
})
