/** docs/errors.md lists what a user can be told, once each, with the cure; the check is shown to fail where page and code differ. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ERROR_PAGE, errorPageProblems } from './tidy/error-page.ts'
import { errorSitesOf } from './tidy/error-sites.ts'
import type { Tree } from './tidy/rules.ts'

const files = execFileSync('git', ['ls-files', '--cached', '*.ts', '*.mjs', ERROR_PAGE], { encoding: 'utf8' }).split(
  '\n',
)
const tree: Tree = new Map(files.filter((file) => existsSync(file)).map((file) => [file, readFileSync(file, 'utf8')]))
const page = tree.get(ERROR_PAGE) ?? ''

function withFile(file: string, text: string): Tree {
  return new Map([...tree, [file, text]])
}

describe('docs/errors.md', () => {
  test('has every message of the product once, under its code, and nothing else', () => {
    expect(errorPageProblems(tree)).toEqual([])
  })

  test('is judged by all of the product', () => {
    const codes = new Set(
      [...tree].flatMap(([file, text]) =>
        (file === ERROR_PAGE ? [] : errorSitesOf(file, text)).map(({ code }) => code),
      ),
    )
    expect(codes.size).toBeGreaterThan(70)
    expect(page.match(/^### SLUICE_/gm)?.length).toBeGreaterThan(70)
  })

  test.each<[what: string, file: string, text: string, problem: RegExp]>([
    ['an error without a code', 'cli/x.ts', "throw new TerminalError('no')", /cli\/x\.ts:1: "no" has no code/],
    [
      'a code that the page does not have',
      'sinks/x/sink.ts',
      "\nthrow new TaskFailure('no', { cause, code: 'SLUICE_NEW' })",
      /sinks\/x\/sink\.ts:2: SLUICE_NEW is not in/,
    ],
    [
      'a message that the page does not have',
      'engine/x.ts',
      "throw new TerminalError(`no ${file} here`, { code: 'SLUICE_USAGE' })",
      /not under SLUICE_USAGE in docs\/errors\.md: no <file> here/,
    ],
    [
      'a message that is handed on with its code',
      'engine/x.ts',
      "refuse('SLUICE_USAGE', 'not so')",
      /not under SLUICE_USAGE in docs\/errors\.md: not so/,
    ],
    [
      'a message that cannot be read off the source',
      'engine/x.ts',
      "throw new TerminalError(text, { code: 'SLUICE_USAGE' })",
      /engine\/x\.ts:1: the message of this SLUICE_USAGE cannot be read off/,
    ],
    [
      'a kind that the page does not name',
      'engine/x.ts',
      "throw new FencedError('no', { code: 'SLUICE_USAGE' })",
      /SLUICE_USAGE is a FencedError too/,
    ],
    [
      'an entry that nothing throws',
      ERROR_PAGE,
      `${page}\n### SLUICE_OLD\n\n\`\`\`text\nold\n\`\`\`\n\nexit code 1\n`,
      /nothing throws SLUICE_OLD/,
    ],
    [
      'an entry that is there twice',
      ERROR_PAGE,
      `${page}\n### SLUICE_BUG\n\n\`\`\`text\n\`\`\`\n\n\`InvariantViolation\`, exit code 1\n`,
      /SLUICE_BUG has two entries/,
    ],
    [
      'a message that nothing says any more',
      ERROR_PAGE,
      page.replace('there is no job file', 'there was no job file'),
      /no message of SLUICE_JOB_FILE_MISSING is: there was no job file/,
    ],
    ['an entry without its exit code', ERROR_PAGE, page.replaceAll('exit code', 'end'), /names no exit code/],
  ])('%s is found', (_, file, text, problem) => {
    expect(errorPageProblems(withFile(file, text)).join('\n')).toMatch(problem)
  })
})

describe('messages are read off the source', () => {
  test.each<[source: string, messages: readonly string[]]>([
    ["new TerminalError('a ' + b + ` ${c.d}`)", ['a <b> <d>']],
    ["const CURE = 'mend it'\nnew TaskFailure(`${what}; ${CURE}`)", ['<what>; mend it']],
    ["new FencedError(x ? 'one' : `two ${messageOf(error)}`)", ['one', 'two <reason>']],
    ["new Map([['SLUICE', 1]])", []],
  ])('%s', (source, messages) => {
    expect(errorSitesOf('x.ts', source).flatMap((site) => site.messages)).toEqual(messages)
  })
})
