/** The package as npm would publish it, in an empty folder with nothing but its own dependencies beside it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

interface PackageJson {
  readonly files: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

const scratch = mkdtempSync(join(tmpdir(), 'sluice-package-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const user = join(scratch, 'user')
const installed = join(user, 'node_modules/sluice')
const tools = resolve('node_modules/.bin')
const description = JSON.parse(readFileSync('package.json', 'utf8')) as PackageJson

/** `npm pack` of a copy, so that no dist/ of the checkout is touched; unpacked as npm would, and its dependencies linked. */
beforeAll(() => {
  const stage = join(scratch, 'stage')
  mkdirSync(installed, { recursive: true })
  for (const file of ['package.json', ...description.files.filter((one) => one !== 'dist')]) {
    cpSync(file, join(stage, file), { recursive: true })
  }
  execFileSync(join(tools, 'tsc'), ['-p', 'tsconfig.build.json', '--outDir', join(stage, 'dist')])
  const npm = ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch]
  execFileSync('npm', npm, { cwd: stage, stdio: ['ignore', 'pipe', 'ignore'] })
  const tarball = readdirSync(scratch).find((name) => name.endsWith('.tgz')) ?? ''
  execFileSync('tar', ['xzf', join(scratch, tarball), '-C', installed, '--strip-components=1'])
  // The types of Node are what every TypeScript project on it has.
  for (const name of [...Object.keys(description.dependencies), '@types/node', 'undici-types']) {
    mkdirSync(dirname(join(user, 'node_modules', name)), { recursive: true })
    symlinkSync(resolve('node_modules', name), join(user, 'node_modules', name))
  }
  writeFileSync(join(user, 'package.json'), '{"type":"module"}')
})

const JOB = `import { defineJob, json, value } from 'sluice'
import { csv, fileSource } from 'sluice/sources/file'
import { fileSink } from 'sluice/sinks/file'

export default defineJob({
  id: 'installed',
  build(flow) {
    flow
      .source('rows', fileSource({ path: 'in.csv', decode: csv() }))
      .keyBy((row) => row['name'] ?? '')
      .process('count', {
        state: { seen: value(() => 0) },
        onRecord(row, { state, emit }) {
          state.seen.set(state.seen.get() + 1)
          emit({ ...row, seen: state.seen.get() })
        },
      })
      .sink('out', fileSink({ path: 'out', encode: json() }))
  },
})
`

const SIMULATED = `
import { simulate, type Simulated } from 'sluice/simulation'

export const tried: Promise<Simulated> = simulate(({ source, sink }) =>
  defineJob({
    id: 'simulated',
    build: (flow) => flow.source('numbers', source([1, 2, 3])).map('twice', (one) => one * 2).sink('out', sink()),
  }),
)
console.log((await tried).lives)
`

function sluice(...argv: readonly string[]) {
  return spawnSync(process.execPath, [join(installed, 'bin/sluice.mjs'), ...argv], {
    cwd: user,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  })
}

test('a job file runs by its command, and its status is there', () => {
  writeFileSync(join(user, 'job.ts'), JOB)
  writeFileSync(join(user, 'in.csv'), 'name,n\na,1\nb,2\na,3\n')
  expect(sluice('run', 'job.ts')).toMatchObject({ status: 0, stderr: expect.stringMatching(/finished\n$/) })
  const [part = ''] = readdirSync(join(user, 'out'))
  expect(readFileSync(join(user, 'out', part), 'utf8')).toBe(
    '{"name":"a","n":"1","seen":1}\n{"name":"b","n":"2","seen":1}\n{"name":"a","n":"3","seen":2}\n',
  )
  expect(JSON.parse(sluice('status', 'installed', '--json').stdout)).toMatchObject({ state: 'FINISHED' })
})

test('its command starts workers that run the same package', () => {
  const { status, stderr } = sluice('run', 'job.ts', '--workers', '2', '--store', 'workers')
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringMatching(/finished\n$/) })
})

test('its types fit a strict project', () => {
  writeFileSync(join(user, 'typed.ts'), JOB + SIMULATED)
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2024',
    noEmit: true,
    skipLibCheck: false,
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
  }
  writeFileSync(join(user, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
  const { status, stdout } = spawnSync(join(tools, 'tsc'), ['-p', user], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
})

test('a job is simulated with nothing but what is installed', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(user, 'typed.ts')], { encoding: 'utf8' })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '50\n', stderr: '' })
})

test('everything it exports can be imported', () => {
  const names = Object.entries(description.exports).flatMap(([name, target]) => {
    if (typeof target === 'string' || name === './conformance') return []
    const [folder = ''] = (target['default'] ?? '').split('*')
    const stars = name.includes('*') ? readdirSync(join(installed, folder)) : ['']
    const modules = new Set(stars.map((one) => one.replace(/(\.d\.ts|\.js)$/, '')))
    return [...modules].map((one) => name.replace('.', 'sluice').replace('*', one))
  })
  expect(names.length).toBeGreaterThanOrEqual(8)
  const program = names.map((one) => `await import('${one}')`).join('\n')
  expect(
    spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: user, encoding: 'utf8' }),
  ).toMatchObject({ status: 0, stderr: '' })
})

test('every package that it imports is one that it asks for', () => {
  const asked = [...Object.keys(description.dependencies), ...Object.keys(description.peerDependencies)]
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((file) => /\.m?js$/.test(file))
  const imported = files.flatMap((file) =>
    [...readFileSync(join(installed, file), 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'([a-z@][^':]*)'/g)].map(
      ([, name = '']) => name,
    ),
  )
  expect(new Set(imported.map((name) => name.split('/')[0]))).toEqual(new Set(asked))
})

test('it holds what runs and what is read, and nothing of our tests but the conformance suites and the simulation', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' })
  expect(readdirSync(installed).toSorted()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin',
    'dist',
    'package.json',
  ])
  expect(files.filter((file) => /(?<!\.d)\.ts$/.test(file))).toEqual([])
  expect(readdirSync(join(installed, 'dist/test')).toSorted()).toEqual(['conformance', 'simulation'])
})
