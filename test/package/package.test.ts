/** The package as npm would publish it: what is in it, what it loads, and that it works in an empty folder where npm has installed it. */
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JOB, SIMULATED, TYPED } from './installed-job.ts'
import { mustRun, Packed, run, type Ran } from './packed.ts'

interface PackageJson {
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
}

const description = JSON.parse(readFileSync('package.json', 'utf8')) as PackageJson
let packed: Packed
let user: string
let installed: string

beforeAll(() => {
  packed = new Packed()
  user = packed.install('user')
  installed = join(user, 'node_modules/sluice')
  // The types of Node are what every TypeScript project on it has.
  mkdirSync(join(user, 'node_modules/@types'), { recursive: true })
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(resolve('node_modules', name), join(user, 'node_modules', name))
  }
  writeFileSync(join(user, 'job.ts'), JOB)
  writeFileSync(join(user, 'in.csv'), 'name,n\na,1\nb,2\na,3\n')
}, 180_000)
afterAll(() => packed[Symbol.dispose]())

function sluice(...argv: readonly string[]): Ran {
  return run(user, 'npx', '--no-install', 'sluice', ...argv)
}

/** `sluice`, `sluice/sources/file`, …: what can be imported. */
function entries(): readonly string[] {
  return Object.entries(description.exports).flatMap(([name, target]) => {
    if (typeof target === 'string') return []
    const [folder = ''] = (target['default'] ?? '').split('*')
    const stars = name.includes('*') ? readdirSync(join(installed, folder)) : ['']
    return stars.map((one) => name.replace('.', 'sluice').replace('*', one))
  })
}

/** All of the package, without its own packages. */
function filesOf(directory: string): readonly string[] {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true })
  return found
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name).slice(directory.length + 1))
    .toSorted()
}

describe('what is in it', () => {
  /** A limit that tells when something was packed by mistake; raise it for what belongs there. */
  const MAX_TARBALL_BYTES = 600_000

  test('it holds what runs, what is read and what a project begins with, and of our tests only the kits', () => {
    const files = filesOf(installed)
    const product = 'engine|sources|sinks|clients|checkpoint-store|cli|test/conformance|test/simulation'
    const known = new RegExp(
      String.raw`^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|bin/[a-z-]+\.mjs|templates/init/.+|dist/(?:${product})/.+\.(?:js|d\.ts))$`,
    )
    expect(files.filter((file) => !known.test(file))).toEqual([])
    for (const one of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'bin/sluice.mjs', 'bin/worker.mjs']) {
      expect(files).toContain(one)
    }
    expect(files.filter((file) => /\.test\./.test(file))).toEqual(['templates/init/test/job.test.ts'])
    expect(statSync(packed.tarball).size).toBeLessThan(MAX_TARBALL_BYTES)
  })

  test('each file of dist/ is one of ours, with its types and without a map', () => {
    const files = filesOf(join(installed, 'dist'))
    const scripts = files.filter((file) => file.endsWith('.js'))
    expect(scripts.length).toBeGreaterThan(200)
    for (const file of scripts) {
      const source = file.replace(/\.js$/, '.ts')
      expect(existsSync(source) ? source : `no ${source}`).toBe(source)
      expect(files).toContain(file.replace(/\.js$/, '.d.ts'))
      expect(readFileSync(join(installed, 'dist', file), 'utf8')).not.toContain('sourceMappingURL')
    }
  })

  test('every package that it imports is one that it asks for', () => {
    const asked = [...Object.keys(description.dependencies), ...Object.keys(description.peerDependencies)]
    const files = filesOf(installed).filter((file) => /^(?:bin|dist)\/.*\.m?js$/.test(file))
    const imported = files.flatMap((file) =>
      [
        ...readFileSync(join(installed, file), 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*["']([a-z@][^":']*)["']/g),
      ].map(([, name = '']) => name),
    )
    expect(new Set(imported.map((name) => name.split('/')[0]))).toEqual(new Set(asked))
  })

  test('publint finds nothing', async () => {
    const bytes = readFileSync(packed.tarball)
    const { messages, pkg } = await publint({ strict: true, pack: { tarball: new Uint8Array(bytes).buffer } })
    // The condition of a checkout, where the sources are: nobody asks an installed package for it (docs/decisions/0002).
    const ours = messages.filter(({ path }) => path.at(-1) !== 'sluice-source')
    expect(ours.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  test('its types are right for every way of resolving them that an ES module has', async () => {
    const entrypoints = entries().map((name) => name.replace('sluice', '.'))
    const result = await checkPackage(createPackageFromTarballData(readFileSync(packed.tarball)), { entrypoints })
    if (result.types === false) throw new Error('it has no types')
    expect(Object.keys(result.entrypoints)).toEqual(entrypoints)
    // It has no CommonJS, and no paths for a resolution that does not know `exports`.
    const problems = result.problems.filter(
      (one) => !('resolutionKind' in one && ['node10', 'node16-cjs'].includes(one.resolutionKind)),
    )
    expect(problems).toEqual([])
    for (const { subpath, resolutions } of Object.values(result.entrypoints)) {
      for (const kind of ['node16-esm', 'bundler'] as const) {
        expect({ subpath, kind, isTyped: resolutions[kind].resolution?.isTypeScript }).toMatchObject({ isTyped: true })
      }
    }
  })
})

describe('what it loads', () => {
  /** All files that a program loads; those of packages as `<package>/<path>`. */
  function loadedBy(...argv: readonly string[]): readonly string[] {
    const list = join(packed.directory, 'loaded')
    mustRun(user, 'env', `LOADED=${list}`, 'node', '--import', resolve('test/package/loaded-preload.mjs'), ...argv)
    const urls = readFileSync(list, 'utf8').split('\n')
    return urls.flatMap((url) => (url.startsWith('file:') ? [url.replace(/^.*\/node_modules\//, '')] : []))
  }

  function loadedByImport(name: string): readonly string[] {
    return loadedBy('--input-type=module', '--eval', `await import('${name}')`)
  }

  /** Beside the contract and what a source and a sink of one system share, an entry loads what is its own. */
  const MAY_LOAD: Readonly<Record<string, RegExp>> = {
    // Of the host what a program that calls `runJob` needs: a few small files of ours over modules of Node.
    sluice: /^sluice\/dist\/engine\/(?!worker\/|host\/(?!(?:holder|node-runtime|text-logger|log-line)\.js))/,
    'sluice/simulation': /^sluice\/dist\/(?:test\/simulation\/|engine\/(?!host\/|worker\/)|checkpoint-store\/)/,
  }
  /** Packages that are loaded by the import alone; what a format needs comes with the first file of that format. */
  const PACKAGES: Readonly<Record<string, readonly string[]>> = {
    sluice: ['msgpackr'],
    'sluice/simulation': ['msgpackr'],
  }
  /** Which msgpackr tries to load its native part with. */
  const OF_MSGPACKR = /^(?:@msgpackr-extract\/|msgpackr-extract\/|node-gyp-build-optional-packages\/|detect-libc\/)/

  test('each entry loads only what is its own, and no package that it does not need at once', () => {
    // It is loaded by vitest alone.
    const names = entries().filter((name) => name !== 'sluice/conformance')
    expect(names.length).toBeGreaterThanOrEqual(9)
    for (const name of names) {
      const files = loadedByImport(name).filter((file) => !OF_MSGPACKR.test(file))
      const ours = files.filter((file) => file.startsWith('sluice/'))
      const [, kind = '', system = ''] = name.split('/')
      const own = `${kind}/${kind === 'checkpoint-store' ? '' : `${system}/`}`
      const mayLoad = MAY_LOAD[name] ?? new RegExp(`^sluice/dist/(?:engine/api/|clients/|${own})`)
      const packages = files.filter((file) => !file.startsWith('sluice/')).map((file) => file.split('/')[0])
      const foreign = ours.filter((file) => !mayLoad.test(file))
      expect({ name, foreign, packages: [...new Set(packages)] }).toEqual({
        name,
        foreign: [],
        packages: PACKAGES[name] ?? [],
      })
    }
  })

  test('the command answers before it has loaded the engine', () => {
    const files = loadedBy(join(installed, 'bin/sluice.mjs'), '--version')
    expect(files.filter((file) => !/^(?:sluice\/(?:bin|dist\/cli)|commander)\//.test(file))).toEqual([])
    const ours = files.filter((file) => file.startsWith('sluice/') && !file.startsWith('sluice/dist/cli/commands/'))
    expect(ours).toEqual([
      'sluice/bin/sluice.mjs',
      'sluice/bin/ourselves.mjs',
      'sluice/dist/cli/main.js',
      'sluice/dist/cli/version.js',
      'sluice/dist/cli/package-directory.js',
    ])
    const declarations = readdirSync('cli/commands').map(
      (file) => `sluice/dist/cli/commands/${file.replace('.ts', '.js')}`,
    )
    const declared = files.filter((file) => file.startsWith('sluice/dist/cli/commands/'))
    expect(declared.toSorted()).toEqual(declarations.toSorted())
  })
})

describe('in an empty folder', () => {
  test('its command says which version it is', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect(sluice('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('a job file runs by its command, and its status is there', () => {
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

  test('a job is simulated with nothing but what is installed', () => {
    writeFileSync(join(user, 'simulated.ts'), SIMULATED)
    expect(run(user, 'node', 'simulated.ts')).toEqual({ status: 0, stdout: '50\n', stderr: '' })
  })

  test('everything it exports can be imported', () => {
    const names = entries().filter((name) => name !== 'sluice/conformance')
    const program = names.map((one) => `await import('${one}')`).join('\n')
    expect(run(user, 'node', '--input-type=module', '--eval', program)).toMatchObject({ status: 0, stderr: '' })
  })

  test.each([
    { compiler: 'typescript', module: 'nodenext', moduleResolution: 'nodenext' },
    { compiler: 'typescript', module: 'esnext', moduleResolution: 'bundler' },
    { compiler: 'typescript-6', module: 'nodenext', moduleResolution: 'nodenext' },
  ])('its types fit a strict project: $compiler, $moduleResolution', ({ compiler, module, moduleResolution }) => {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      module,
      moduleResolution,
      target: 'es2024',
      noEmit: true,
      skipLibCheck: false,
      lib: ['es2024', 'esnext.disposable'],
      types: ['node'],
    }
    const project = `${compiler}-${module}`
    writeFileSync(join(user, `${project}.ts`), JOB + TYPED)
    writeFileSync(join(user, `${project}.json`), JSON.stringify({ compilerOptions, files: [`${project}.ts`] }))
    const tsc = resolve('node_modules', compiler, 'bin/tsc')
    expect(run(user, tsc, '-p', `${project}.json`)).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})
