/**
 * The code blocks of a document, and the project that they make together: what a reader has who copies them.
 *
 *   ```ts                  a file of its own: type-checked, planned if it exports a job
 *   ```ts shop-source.ts   a file of that name, which other blocks import
 *   ```ts run              a program: run to its end
 *   ```sh                  commands that are run where the files lie, if they are cheap
 *   ```text output         what the commands before it print
 *   ```ts fragment         not run: it shows a shape
 *
 * Files of test/docs that the document links to, tests apart, lie in the same directory: a server that it talks about.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

export interface Snippet {
  /** `ts`, `sh`, …; empty where none is given. */
  readonly language: string
  /** Of the file that it is; undefined: it has none. */
  readonly name: string | undefined
  /** All that is said of it behind the language: `fragment`, `run`, `output`, a file name. */
  readonly words: readonly string[]
  readonly isFragment: boolean
  readonly text: string
  /** Of its first line in the document, from 1. */
  readonly line: number
}

export function snippetsOf(markdown: string): readonly Snippet[] {
  return [...markdown.matchAll(/^```([^\n`]*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const [language = '', ...words] = (match[1] ?? '').trim().split(/\s+/)
    return {
      language,
      name: words.find((word) => word.includes('.')),
      words,
      isFragment: words.includes('fragment'),
      text: match[2] ?? '',
      line: markdown.slice(0, match.index).split('\n').length + 1,
    }
  })
}

/** One ts block as a file. */
export interface SnippetFile {
  readonly path: string
  readonly snippet: Snippet
}

/** A directory of its own with all ts blocks as files, from where our names and those of our dependencies can be imported. */
export class SnippetProject implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-snippets-'))
  readonly files: readonly SnippetFile[]

  constructor(markdown: string) {
    prepareProject(this.directory, '*.ts')
    this.files = writeSnippets(markdown, this.directory)
  }

  /** Of a document of ours, by its path in the repository. */
  static of(document: string): SnippetProject {
    return new SnippetProject(readFileSync(join(ROOT, document), 'utf8'))
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** The ts blocks of several documents, each in a folder of its own: one program for the compiler. */
export class SnippetLibrary implements Disposable {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-snippets-')))
  readonly files: readonly (SnippetFile & { readonly document: string })[]

  /** @param documents name to text */
  constructor(documents: ReadonlyMap<string, string>) {
    prepareProject(this.directory, '*/*.ts')
    this.files = [...documents].flatMap(([document, markdown], index) => {
      const folder = join(this.directory, String(index))
      mkdirSync(folder)
      return writeSnippets(markdown, folder).map((file) => ({ ...file, document }))
    })
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function prepareProject(directory: string, include: string): void {
  linkPackages(directory)
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const tsconfig = { extends: join(ROOT, 'tsconfig.json'), compilerOptions: { types: ['node'] }, include: [include] }
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(tsconfig))
}

function writeSnippets(markdown: string, directory: string): readonly SnippetFile[] {
  for (const [, file = ''] of markdown.matchAll(/\]\(\.\.\/(test\/docs\/[\w.-]+(?<!\.test)\.ts)\)/g)) {
    copyFileSync(join(ROOT, file), join(directory, basename(file)))
  }
  const snippets = snippetsOf(markdown).filter(({ language, isFragment }) => language === 'ts' && !isFragment)
  return snippets.map((snippet) => {
    const path = join(directory, snippet.name ?? `line-${snippet.line}.ts`)
    writeFileSync(path, snippet.text)
    return { path, snippet }
  })
}

/** As an installation would: `sluice` is this checkout. */
function linkPackages(directory: string): void {
  const packages = join(directory, 'node_modules')
  mkdirSync(packages)
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(packages, name))
  }
  symlinkSync(ROOT, join(packages, 'sluice'))
}
