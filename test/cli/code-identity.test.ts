/** Code identity: moves with every file a job is made of, and with nothing else. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { codeIdentity } from '../../cli/code-identity.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-identity-'))
  write(
    'jobs/job.ts',
    `import { a } from './a.ts'\nexport * from "../lib/b.ts"\nawait import('./c.ts')\nimport './d.json'\n`,
  )
  write('jobs/a.ts', `import '../jobs/job.ts'\nimport type { E } from './e.ts'`)
  for (const file of ['lib/b.ts', 'jobs/c.ts', 'jobs/d.json', 'jobs/e.ts', 'jobs/other.ts', 'package-lock.json'])
    write(file, file)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function write(file: string, text: string): void {
  mkdirSync(join(root, dirname(file)), { recursive: true })
  writeFileSync(join(root, file), text)
}

const identity = (): Promise<string> => codeIdentity(join(root, 'jobs/job.ts'))

test.each(['jobs/a.ts', 'lib/b.ts', 'jobs/c.ts', 'jobs/d.json', 'jobs/e.ts', 'package-lock.json'])(
  'it moves with %s',
  async (file) => {
    const before = await identity()
    expect(before).toMatch(/^[0-9a-f]{32}$/)
    expect(await identity()).toBe(before)
    write(file, 'changed')
    expect(await identity()).not.toBe(before)
  },
)

test('it stays when a file changes that the job does not import', async () => {
  const before = await identity()
  write('jobs/other.ts', 'changed')
  write('jobs/new.ts', 'new')
  expect(await identity()).toBe(before)
})

test('the nearest lock file counts', async () => {
  const before = await identity()
  write('jobs/yarn.lock', 'nearer')
  const nearer = await identity()
  expect(nearer).not.toBe(before)
  write('package-lock.json', 'farther')
  expect(await identity()).toBe(nearer)
})
