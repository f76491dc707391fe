/** `sluice init` from a checkout: what it refuses, what it overwrites, how it names things. That its project works: test/package. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Workplace } from './command.ts'

const FILES = [
  '.gitignore',
  '.npmrc',
  'README.md',
  'data/payments.ndjson',
  'feed.ts',
  'job.ts',
  'package.json',
  'test/job.test.ts',
  'text-sink.ts',
  'tsconfig.json',
]
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))

function read(place: Workplace, file: string): string {
  return readFileSync(join(place.directory, file), 'utf8')
}

test('it writes the project into a directory that it makes, and says what comes next', async () => {
  using place = new Workplace()
  const { code, out, err } = await place.sluice('init', 'my project')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out.split('\n')).toEqual([
    `my-project is in ${join(place.directory, 'my project')}:`,
    ...FILES.map((file) => `  ${file}`),
    '',
    'Next:',
    `  npm --prefix ${CHECKOUT.slice(0, -1)} run build`,
    "  cd 'my project'",
    '  npm install',
    '  npm test',
    '  npm start',
    '',
  ])
  expect(read(place, 'my project/job.ts')).toContain("  id: 'my-project',")
  expect(read(place, 'my project/README.md')).toMatch(/^# my-project\n/)
  expect(read(place, 'my project/.gitignore')).toContain('.sluice/')
})

test('in a checkout the project gets a copy of the checkout, as of a published package', async () => {
  using place = new Workplace()
  await place.sluice('init', 'new')
  expect(JSON.parse(read(place, 'new/package.json'))).toMatchObject({
    dependencies: { sluice: `file:${relative(join(place.directory, 'new'), CHECKOUT)}` },
  })
  expect(read(place, 'new/.npmrc')).toBe('install-links=true\n')
})

test('its job can be planned as it is', async () => {
  using place = new Workplace()
  await place.sluice('init')
  const { code, out } = await place.sluice('plan', 'job.ts')
  expect(code).toBe(0)
  expect(out).toMatch(/payments -> balances: exactly-once\n {2}payments -> warnings: exactly-once\n/)
})

test('--json says the same to programs', async () => {
  using place = new Workplace()
  const { code, out } = await place.sluice('init', '--json', '--name', 'balances')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toEqual({
    event: 'created',
    directory: place.directory,
    name: 'balances',
    files: FILES,
    next: [`npm --prefix ${CHECKOUT.slice(0, -1)} run build`, 'npm install', 'npm test', 'npm start'],
  })
})

test('what is in the way is listed, and nothing is written', async () => {
  using place = new Workplace()
  place.write('job.ts', 'mine')
  place.write('test', 'a file where a folder should be')
  const { code, out } = await place.sluice('init', '--json')
  expect({ code, said: JSON.parse(out) as unknown }).toEqual({
    code: 2,
    said: {
      event: 'refused',
      exitCode: 2,
      code: 'SLUICE_INIT_IN_THE_WAY',
      error:
        `in ${place.directory} there is already job.ts, test; nothing was written. ` +
        'Give another directory, or --force to overwrite',
    },
  })
  expect(read(place, 'job.ts')).toBe('mine')
  expect(FILES.filter((file) => existsSync(join(place.directory, file)))).toEqual(['job.ts'])
})

test('--force overwrites what is in the way, and nothing else', async () => {
  using place = new Workplace()
  place.write('job.ts', 'mine')
  place.write('notes.txt', 'mine too')
  expect(await place.sluice('init', '--force')).toMatchObject({ code: 0, err: '' })
  expect(read(place, 'job.ts')).toContain('defineJob')
  expect(read(place, 'notes.txt')).toBe('mine too')
})

test('what no file can take the place of is refused, forced or not', async () => {
  using place = new Workplace()
  mkdirSync(join(place.directory, 'job.ts'))
  place.write('file', '')
  expect(await place.sluice('init', '--force')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/already job\.ts; nothing was written\. Give another directory, or move them away/),
  })
  expect(await place.sluice('init', 'file', '--force')).toMatchObject({
    code: 2,
    err: expect.stringContaining(`there is already a file ${join(place.directory, 'file')}`),
  })
})

test('what cannot be written fails with the path and the cause', async () => {
  using place = new Workplace()
  place.write('file', '')
  expect(await place.sluice('init', 'file/inside')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/file\/inside\/\.gitignore could not be written: ENOTDIR.*\[SLUICE_INIT_WRITE\]\n$/),
  })
})

describe('names', () => {
  test.each(['Balances', '-x', 'a--b', 'a b', '', 'sluice', 'vitest', '@scope/x', 'x'.repeat(101)])(
    'are refused that a package or a job cannot have: %j',
    async (name) => {
      using place = new Workplace()
      expect(await place.sluice('init', `--name=${name}`)).toMatchObject({
        code: 2,
        err: expect.stringMatching(/^sluice: --name ".*" cannot be the name .* \[SLUICE_INIT_NAME\]\n$/),
      })
      expect(existsSync(join(place.directory, 'job.ts'))).toBe(false)
    },
  )

  test.each([
    ['Über Money--2!', 'ber-money-2'],
    ['__', 'sluice-project'],
    ['sluice', 'sluice-project'],
    ['a.b_c-d', 'a.b_c-d'],
  ])('are made of that of the directory: %s becomes %s', async (directory, name) => {
    using place = new Workplace()
    const { out } = await place.sluice('init', directory, '--json')
    expect(JSON.parse(out)).toMatchObject({ name })
  })
})
