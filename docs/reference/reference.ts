/**
 * The API reference: typedoc over what package.json exports, and what of that nobody has described yet.
 */
import { globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import type { ProjectReflection } from 'typedoc'

const ROOT = resolve(import.meta.dirname, '../..')

// typedoc needs the JS API of TypeScript, which TypeScript 7 does not have. It must be told before it is loaded.
registerHooks({
  resolve: (specifier, context, nextResolve) => {
    const isForTypedoc = context.parentURL?.includes('/node_modules/typedoc/') === true
    return nextResolve(specifier === 'typescript' && isForTypedoc ? 'typescript-6' : specifier, context)
  },
})
const typedoc = await import('typedoc')

export interface Entry {
  /** As it is imported: `sluice/sources/file`. */
  readonly name: string
  /** Absolute. */
  readonly file: string
}

export interface Reference {
  /** A module for each entry, by its name. */
  readonly project: ProjectReflection
  /** What is not described, what is named or linked to and not there. */
  readonly problems: readonly string[]
  /** Writes the pages. */
  readonly write: (directory: string) => Promise<void>
}

/** Everything that `exports` of package.json names; for a pattern, everything that it stands for. */
export function publicEntries(): readonly Entry[] {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string | { readonly 'sluice-source': string }>>
  }
  return Object.entries(exports).flatMap(([path, target]) => {
    if (typeof target === 'string') return []
    const pattern = join(ROOT, target['sluice-source'])
    const [before = '', after = ''] = pattern.split('*')
    const files = pattern.includes('*') ? globSync(pattern).toSorted() : [pattern]
    const name = path.replace('.', 'sluice')
    return files.map((file) => ({ name: name.replace('*', file.slice(before.length, -after.length)), file }))
  })
}

export interface Program {
  readonly tsconfig: string
  /** Named by public types without being public: what they stand for is seen in those. */
  readonly notExported: readonly string[]
}

const NOT_EXPORTED = [
  'AnySource',
  'Brand',
  'Fixed',
  'Handles',
  'JobGraph',
  'Manifest',
  'Prepared',
  'ReadonlyHandles',
  'SimulatedSplit',
  'TaskHost',
  'Visible',
  'Written',
]

const OURS: Program = { tsconfig: join(ROOT, 'tsconfig.json'), notExported: NOT_EXPORTED }

/** Of two entries at least. @throws if they cannot be read */
export async function readReference(entries: readonly Entry[], { tsconfig, notExported } = OURS): Promise<Reference> {
  const app = await typedoc.Application.bootstrap({
    entryPoints: entries.map(({ file }) => file),
    tsconfig,
    name: 'Sluice',
    readme: 'none',
    disableGit: true,
    disableSources: true,
    githubPages: false,
    intentionallyNotExported: [...notExported],
    validation: { notDocumented: true, notExported: true, invalidLink: true, invalidPath: true },
    requiredToBeDocumented: ['Function', 'Class', 'Interface', 'TypeAlias', 'Variable', 'Method', 'Accessor'],
  })
  const problems: string[] = []
  app.logger = new Collecting(problems)
  const project = await app.convert()
  if (project === undefined) throw new Error(`typedoc could not read the entries:\n${problems.join('\n')}`)
  const names = new Map(entries.map(({ name, file }) => [file, name]))
  for (const module of project.children ?? []) {
    const file = project.getSymbolIdFromReflection(module)?.fileName ?? ''
    module.name = names.get(file) ?? module.name
    module.comment = new typedoc.Comment([{ kind: 'text', text: headerOf(file) }])
  }
  app.validate(project)
  return { project, problems, write: (directory) => app.generateDocs(project, directory) }
}

class Collecting extends typedoc.Logger {
  readonly #problems: string[]

  constructor(problems: string[]) {
    super()
    this.#problems = problems
  }

  override log(message: string, level: number): void {
    if (level >= typedoc.LogLevel.Warn) this.#problems.push(message)
  }
}

/** The comment that each file of ours opens with. */
function headerOf(file: string): string {
  const [, text = ''] = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, 'utf8')) ?? []
  return text.replace(/^ \* ?/gm, '').trim()
}
