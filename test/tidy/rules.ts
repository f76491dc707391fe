/**
 * The rules that can be read off the files, as functions from a tree of files to what is wrong with it: so each can be shown a tree that
 * breaks it.
 */
import { dirname, join, normalize } from 'node:path'

/** Path to text; paths are relative to the repository and have forward slashes. */
export type Tree = ReadonlyMap<string, string>
export type Rule = (tree: Tree) => readonly string[]

const INVARIANTS = 'docs/invariants.md'
const LONGEST_FILE_LINES = 400
const LONGEST_LINE_CHARACTERS = 160

/** Written in two parts, so that this file does not match itself. */
const unfinished = new RegExp(['TO', 'DO|FIX', 'ME|XX', 'X\\b'].join(''))
const machinePath = new RegExp(['/wo', 'rk/|/ho', 'me/\\w|/ro', 'ot/|/tm', 'p/|\\.\\./sha', 'red\\b'].join(''))
/** What has no lint rule of its own: the clock in a constructor, randomness of crypto, timers and clocks under other names. */
const untold = new RegExp(
  [
    /\bnew Date\(\)|(?<![.\w])Date\(\)/,
    /\bglobalThis\.(?:Date|Math|performance|crypto)\b|\bhrtime\b|\bAbortSignal\.timeout\b/,
    /\brandom(?:Bytes|UUID|Int|Fill|FillSync)\b|\bgetRandomValues\b/,
    /'(?:node:)?timers\b/,
  ]
    .map(({ source }) => source)
    .join('|'),
)
const header = /^(?:#![^\n]*\n)?\/\*\*[\s\S]{20,}?\*\//
const PRODUCT = /^(?:engine|sources|sinks|clients|checkpoint-store|cli|bin|services)\/.*\.(?:ts|mjs)$/
const CODE = /\.(?:ts|mjs)$/

export const rules = {
  'every product file opens with a comment that says what it is': (tree) =>
    filesOf(tree, PRODUCT).filter((file) => !header.test(textOf(tree, file))),
  [`no file has more than ${LONGEST_FILE_LINES} lines`]: (tree) =>
    filesOf(tree, CODE).filter((file) => linesOf(tree, file).length > LONGEST_FILE_LINES),
  [`no line has more than ${LONGEST_LINE_CHARACTERS} characters`]: (tree) =>
    filesOf(tree, CODE).flatMap((file) =>
      linesOf(tree, file).flatMap((line, index) =>
        line.length > LONGEST_LINE_CHARACTERS ? [`${file}:${index + 1}`] : [],
      ),
    ),
  'nothing is left for later': (tree) =>
    filesOf(tree, /\.(ts|mjs|md|json)$/).filter(
      (file) => file !== 'package-lock.json' && unfinished.test(textOf(tree, file)),
    ),
  'no file names a directory of the machine it was written on, or one beside the repository': (tree) =>
    filesOf(tree, /./).filter((file) => machinePath.test(textOf(tree, file))),
  'the engine takes time, chance and timers from its runtime alone, also where lint cannot see it': (tree) =>
    filesOf(tree, /^engine\/(?!host\/).*\.ts$/).filter((file) => untold.test(textOf(tree, file))),
  'the lock file names no registry host': (tree) =>
    textOf(tree, 'package-lock.json').includes('"resolved":') ? ['package-lock.json'] : [],
  'every invariant and failure row that is cited is stated in docs': (tree) => {
    const stated = new Set([...invariantsOf(tree), ...failuresOf(tree)])
    return filesOf(tree, CODE).flatMap((file) =>
      citationsIn(textOf(tree, file)).flatMap((id) => (stated.has(id) ? [] : [`${file}: ${id}`])),
    )
  },
  'every invariant has a test that names it': (tree) => {
    const named = new Set(filesOf(tree, /^test\/(?!tidy)/).flatMap((file) => namedInTitles(textOf(tree, file))))
    return invariantsOf(tree).filter((id) => !named.has(id))
  },
  'every file that the row of an invariant links to names it': (tree) =>
    linesOf(tree, INVARIANTS).flatMap((row) => {
      const [, id] = /^\| ([CTS]\d+) /.exec(row) ?? []
      if (id === undefined) return []
      const files = linksOf(row).map((link) => normalize(join(dirname(INVARIANTS), link)))
      return files.filter((file) => !new RegExp(`\\b${id}\\b`).test(textOf(tree, file))).map((file) => `${id}: ${file}`)
    }),
  'every file that a document links to exists': (tree) =>
    filesOf(tree, /\.md$/).flatMap((file) =>
      linksOf(textOf(tree, file)).flatMap((link) => {
        const target = normalize(join(dirname(file), link)).replace(/\/$/, '')
        return [...tree.keys()].some((one) => one === target || one.startsWith(`${target}/`))
          ? []
          : [`${file}: ${link}`]
      }),
    ),
  'every heading that a document links to exists': (tree) =>
    filesOf(tree, /\.md$/).flatMap((file) =>
      [...textOf(tree, file).matchAll(/\]\(((?!https?:)[^)#\s]*)#([^)\s]+)\)/g)].flatMap(
        ([, link = '', anchor = '']) => {
          const target = link === '' ? file : normalize(join(dirname(file), link))
          return headingsOf(textOf(tree, target)).includes(anchor) ? [] : [`${file}: ${link}#${anchor}`]
        },
      ),
    ),
  'every name that a document links to a file is defined there': (tree) =>
    filesOf(tree, /\.md$/).flatMap((file) =>
      namedLinksOf(textOf(tree, file)).flatMap(({ name, link }) =>
        new RegExp(`(?:class|function|const|interface|type) ${name}\\b`).test(
          textOf(tree, normalize(join(dirname(file), link))),
        )
          ? []
          : [`${file}: ${link} does not define ${name}`],
      ),
    ),
  'every file is reached from an entry or a test': (tree) => {
    const reached = new Set<string>()
    const open = [...filesOf(tree, /\.ts$/).filter(isEntry), ...besideSnippets(tree)]
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      if (reached.has(file) || !tree.has(file)) continue
      reached.add(file)
      open.push(...importsOf(file, textOf(tree, file)))
    }
    return filesOf(tree, /\.ts$/).filter((file) => !reached.has(file))
  },
} satisfies Readonly<Record<string, Rule>>

/** C1 … S2, as docs/invariants.md states them. */
export function invariantsOf(tree: Tree): readonly string[] {
  return rowsOf(textOf(tree, INVARIANTS), /^\| ([CTS]\d+) /gm)
}

/** F1 …, as docs/failures.md states them. */
export function failuresOf(tree: Tree): readonly string[] {
  return rowsOf(textOf(tree, 'docs/failures.md'), /^\| (F\d+) /gm)
}

/** Ids in brackets, "(C3)" or "(C4, F35)". */
export function citationsIn(text: string): readonly string[] {
  return [...text.matchAll(/\(([CTSF]\d+(?:, ?[CTSF]\d+)*)\)/g)].flatMap((match) => (match[1] ?? '').split(/, ?/))
}

/** Cited within a text in quotes, as the name of a test or of a check is. */
function namedInTitles(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => /['"`].*\([CTSF]\d.*['"`]/.test(line))
    .flatMap(citationsIn)
}

/** What is started or imported from outside: by a person, by npm, by a user's job, by a child process of a test. */
function isEntry(file: string): boolean {
  return (
    /^(engine\/index|cli\/(main|worker)|test\/(conformance|simulation)\/index|(examples|bench|docs\/reference|services)\/run)\.ts$/.test(
      file,
    ) ||
    /^(sources\/[^/]+\/source|sinks\/[^/]+\/sink|checkpoint-store\/[^/]+|bench\/[^/]+|[^/]+\.config)\.ts$/.test(file) ||
    /^(examples|templates)\/[^/]+\/(main|job|feed)\.ts$/.test(file) ||
    /\.(test|job|main)\.ts$/.test(file)
  )
}

/** What the code of a document imports (test/docs/snippets.ts). */
function besideSnippets(tree: Tree): readonly string[] {
  const targets = filesOf(tree, /^docs\/.*\.md$/).flatMap((file) =>
    linksOf(textOf(tree, file)).map((link) => normalize(join(dirname(file), link))),
  )
  return targets.filter((target) => /^test\/docs\/[^/]+\.ts$/.test(target))
}

function importsOf(file: string, text: string): readonly string[] {
  const specifiers = [...text.matchAll(/(?:from|import|import\()\s*'(\.{1,2}\/[^']+)'/g)]
  const urls = [...text.matchAll(/new URL\('(\.{1,2}\/[^']+\.ts|[^'/]+\.ts)'/g)]
  return [...specifiers, ...urls].map((match) => normalize(join(dirname(file), match[1] ?? '')))
}

function linksOf(text: string): readonly string[] {
  return [...text.matchAll(/\]\(((?!https?:|#|mailto:)[^)#\s]+)/g)].map((match) => match[1] ?? '')
}

/** As the anchors that are made of them. */
function headingsOf(text: string): readonly string[] {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase())
  return headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-'))
}

/** Of links like [`JobLog`](…job-log.ts): the name and where it should be. */
function namedLinksOf(text: string): readonly { readonly name: string; readonly link: string }[] {
  return [...text.matchAll(/\[`(\w+)`\]\(([^)#\s]+\.ts)\)/g)].map(([, name = '', link = '']) => ({ name, link }))
}

function rowsOf(text: string, row: RegExp): readonly string[] {
  return [...text.matchAll(row)].map((match) => match[1] ?? '')
}

function filesOf(tree: Tree, pattern: RegExp): string[] {
  return [...tree.keys()].filter((file) => pattern.test(file))
}

function linesOf(tree: Tree, file: string): readonly string[] {
  return textOf(tree, file).trimEnd().split('\n')
}

function textOf(tree: Tree, file: string): string {
  return tree.get(file) ?? ''
}
