/**
 * The files of a new project: those of templates/init under its name, and a package.json that asks for what this package was tested with.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { assert } from '../engine/api/index.ts'
import { packageDirectory, readPackageDescription, type PackageDescription } from './package-directory.ts'

export interface ProjectOptions {
  /** Of the package and of the job. */
  readonly name: string
  /** Where its dependency on us comes from; left out: this version, from the registry. */
  readonly sluice: string | undefined
}

const TEMPLATE = 'templates/init'
/** Stands for the name in all of its files. */
const NAME_IN_TEMPLATE = 'sluice-project'
/** Under their own names npm would leave out the one, and our own tools would obey the other. */
const NAMED_OTHERWISE: Readonly<Record<string, string>> = {
  _gitignore: '.gitignore',
  '_tsconfig.json': 'tsconfig.json',
}
const DEVELOPS_WITH = ['@types/node', 'typescript', 'vitest']

/** By path, with forward slashes, in order. */
export async function projectFiles({ name, sluice }: ProjectOptions): Promise<ReadonlyMap<string, string>> {
  const template = join(packageDirectory(), TEMPLATE)
  const entries = await readdir(template, { recursive: true, withFileTypes: true })
  const files = new Map([['package.json', packageJson({ name, sluice })]])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const file = path
      .slice(template.length + 1)
      .split(sep)
      .join('/')
    const text = await readFile(path, 'utf8')
    files.set(NAMED_OTHERWISE[file] ?? file, text.replaceAll(NAME_IN_TEMPLATE, name))
  }
  // npm makes a copy of the checkout, as of a published package: beside a link to it there would be two of everything, of vitest too.
  if (sluice !== undefined) files.set('.npmrc', 'install-links=true\n')
  return new Map([...files].toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

function packageJson({ name, sluice }: ProjectOptions): string {
  const ours = readPackageDescription()
  const description = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: ours.engines,
    scripts: {
      start: 'sluice run job.ts',
      test: 'vitest run',
      plan: 'sluice plan job.ts',
      feed: 'node feed.ts',
      check: 'tsc',
    },
    dependencies: { sluice: sluice ?? ours.version },
    devDependencies: Object.fromEntries(DEVELOPS_WITH.map((one) => [one, versionOf(one, ours)])),
  }
  return `${JSON.stringify(description, null, 2)}\n`
}

function versionOf(name: string, { devDependencies }: PackageDescription): string {
  const version = devDependencies[name]
  assert(version !== undefined, () => `${name} is none of our own devDependencies`)
  return version
}
