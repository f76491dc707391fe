/** The style guide as a test: what a reader can rely on in every file of this repository. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const LONGEST_FILE_LINES = 400
const LONGEST_LINE_CHARACTERS = 160

/** What git tracks: a file that is still being written is nobody else's business. */
const files = execFileSync('git', ['ls-files', '--cached'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(file))

const typescript = files.filter((file) => file.endsWith('.ts'))
const engine = typescript.filter((file) => file.startsWith('engine/'))
const tests = typescript.filter((file) => file.endsWith('.test.ts'))
const textOf = new Map(files.filter(isText).map((file) => [file, readFileSync(file, 'utf8')]))

/** Written in two parts, so that this file does not match itself. */
const unfinished = new RegExp(['TO', 'DO|FIX', 'ME|XX', 'X\\b'].join(''))
const machinePath = new RegExp(['/wo', 'rk/|/ho', 'me/\\w|/ro', 'ot/|/tm', 'p/|\\.\\./sha', 'red\\b'].join(''))
const header = /^\/\*\*[\s\S]{20,}?\*\//

test('the rules below judge the files that are there', () => {
  expect(engine.length).toBeGreaterThanOrEqual(13)
  expect(tests.length).toBeGreaterThanOrEqual(1)
})

test('every engine file opens with a comment that says what it is', () => {
  expect(engine.filter((file) => !header.test(read(file)))).toEqual([])
})

test(`no file has more than ${LONGEST_FILE_LINES} lines, no line more than ${LONGEST_LINE_CHARACTERS} characters`, () => {
  const long = typescript.filter((file) => read(file).trimEnd().split('\n').length > LONGEST_FILE_LINES)
  expect(long).toEqual([])
  const wide = typescript.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (line.length > LONGEST_LINE_CHARACTERS ? [`${file}:${index + 1}`] : [])),
  )
  expect(wide).toEqual([])
})

test('nothing is left for later', () => {
  expect(matching(unfinished, (file) => /\.(ts|mjs|md|json)$/.test(file) && file !== 'package-lock.json')).toEqual([])
})

test('no file names a directory of the machine it was written on, or one beside the repository', () => {
  expect(matching(machinePath, () => true)).toEqual([])
})

test('the patterns catch what they are there for', () => {
  for (const text of ['// TO' + 'DO: later', '/* FIX' + 'ME */', '// XX' + 'X']) expect(text).toMatch(unfinished)
  for (const text of ['/wo' + 'rk/main', '/ho' + 'me/me', '../sha' + 'red/x', '/tm' + 'p/x'])
    expect(text).toMatch(machinePath)
  expect(citations('kept (C3) and (C1, S2), not C4')).toEqual(['C3', 'C1', 'S2'])
  expect('import { x } from "./x.ts"').not.toMatch(header)
  expect('/** ok */\ncode').not.toMatch(header)
})

test('the lock file names no registry host', () => {
  expect(/"resolved":/.test(read('package-lock.json'))).toBe(false)
})

test('every invariant that the code or a test cites is stated in docs/invariants.md', () => {
  const stated = new Set(
    read('docs/invariants.md')
      .match(/^\| [CTS]\d+ /gm)
      ?.map((cell) => cell.slice(2).trim()),
  )
  expect(stated.size).toBeGreaterThanOrEqual(13)
  const unknown = [...textOf]
    .filter(([file]) => /\.(ts|mjs)$/.test(file))
    .flatMap(([file, text]) => citations(text).map((id) => ({ file, id })))
    .filter(({ id }) => !stated.has(id))
  expect(unknown).toEqual([])
})

test('every file that docs/invariants.md and the other documents link to exists', () => {
  const broken = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => linksOf(file).map((link) => ({ file, link })))
    .filter(({ file, link }) => !existsSync(join(dirname(file), link)))
  expect(broken).toEqual([])
})

test.runIf(existsSync('engine/index.ts') && existsSync('cli/main.ts'))(
  'every file is reached from an entry or a test',
  () => {
    const reached = new Set<string>()
    const open = typescript.filter(isEntry)
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      if (reached.has(file)) continue
      reached.add(file)
      open.push(...importsOf(file).filter((target) => existsSync(target)))
    }
    expect(reached.size).toBeGreaterThan(0)
    expect(typescript.filter((file) => !reached.has(file))).toEqual([])
  },
)

/** What is started or imported from outside: by a person, by npm, by a user's job, by a child process of a test. */
function isEntry(file: string): boolean {
  return (
    /^(engine\/index|cli\/main|test\/conformance\/index|(examples|bench)\/run)\.ts$/.test(file) ||
    /^(sources\/[^/]+\/source|sinks\/[^/]+\/sink|checkpoint-store\/[^/]+|bench\/[^/]+|[^/]+\.config)\.ts$/.test(file) ||
    /^examples\/[^/]+\/(main|job)\.ts$/.test(file) ||
    /\.(test|job|main)\.ts$/.test(file)
  )
}

function importsOf(file: string): string[] {
  const specifiers = [...read(file).matchAll(/(?:from|import|import\()\s*'(\.{1,2}\/[^']+)'/g)].map(
    (match) => match[1] ?? '',
  )
  const urls = [...read(file).matchAll(/new URL\('(\.{1,2}\/[^']+\.ts)'/g)].map((match) => match[1] ?? '')
  return [...specifiers, ...urls].map((specifier) => normalize(join(dirname(file), specifier)))
}

function citations(text: string): string[] {
  return [...text.matchAll(/\(([CTS]\d+(?:, ?[CTS]\d+)*)\)/g)].flatMap((match) => (match[1] ?? '').split(/, ?/))
}

function linksOf(file: string): string[] {
  return [...read(file).matchAll(/\]\(((?!https?:|#|mailto:)[^)#\s]+)/g)].map((match) => match[1] ?? '')
}

function matching(pattern: RegExp, applies: (file: string) => boolean): string[] {
  return [...textOf].flatMap(([file, text]) => (applies(file) && pattern.test(text) ? [file] : []))
}

function read(file: string): string {
  return textOf.get(file) ?? readFileSync(file, 'utf8')
}

function isText(file: string): boolean {
  return !/\.(png|jpg|gif|bin|gz|zip)$/.test(file)
}
