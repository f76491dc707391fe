/** The style guide as a test: what a reader can rely on in every file of this repository. Each rule is shown a tree that breaks it. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkTypes, tryCommands, tryMentions, tryTypescript } from './tidy/documents.ts'
import { snippetsOf } from './docs/snippets.ts'
import { citationsIn, failuresOf, invariantsOf, rules, type Rule, type Tree } from './tidy/rules.ts'

/** What git tracks: a file that is still being written is nobody else's business. */
const tracked = execFileSync('git', ['ls-files', '--cached'], { encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && !/\.(png|jpg|gif|bin|gz|zip)$/.test(file) && existsSync(file))
const tree: Tree = new Map(tracked.map((file) => [file, readFileSync(file, 'utf8')]))

type RuleName = keyof typeof rules

/** A file that breaks the rule when it is added or replaced; written in parts where it would break it here. */
const breaking: Readonly<Record<RuleName, readonly (readonly [file: string, text: string])[]>> = {
  'every product file opens with a comment that says what it is': [
    ['engine/api/x.ts', 'import { x } from "./x.ts"'],
    ['cli/x.ts', '/** short */\ncode'],
  ],
  'no file has more than 400 lines': [['cli/x.ts', 'x\n'.repeat(401)]],
  'no line has more than 160 characters': [['test/x.ts', `ok\n${'x'.repeat(161)}`]],
  'nothing is left for later': ['// TO' + 'DO: later', '/* FIX' + 'ME */', '// XX' + 'X'].map((text) => [
    'cli/x.ts',
    text,
  ]),
  'no file names a directory of the machine it was written on, or one beside the repository': [
    '/wo' + 'rk/main',
    '/ho' + 'me/me',
    '../sha' + 'red/x',
    '/tm' + 'p/x',
  ].map((text) => ['docs/x.md', text]),
  'the engine takes time, chance and timers from its runtime alone, also where lint cannot see it': [
    'export const now = new Date()',
    "import { randomUUID } from 'node:crypto'",
    'export const now = process.hrtime.bigint()',
    'export const now = globalThis.Date.now()',
    'export const soon = AbortSignal.timeout(5)',
    "import { setTimeout } from 'node:timers/promises'",
  ].map((text) => ['engine/api/x.ts', `/** A clock of its own. */\n${text}\n`]),
  'the lock file names no registry host': [['package-lock.json', '{ "resolved": "https://registry.example/x.tgz" }']],
  'every invariant and failure row that is cited is stated in docs': [
    ['engine/x.ts', `// kept (${'C99'})`],
    ['test/x.ts', `test('it holds (${'C1, F99'})')`],
  ],
  'every invariant has a test that names it': [
    ['docs/invariants.md', `${tree.get('docs/invariants.md') ?? ''}| C99 | Something nobody tests. | x | y |\n`],
  ],
  'every file that the row of an invariant links to names it': [
    ['docs/invariants.md', `${tree.get('docs/invariants.md') ?? ''}| C1 | x | y | [x](../test/tidy/documents.ts) |\n`],
  ],
  'every heading that a document links to exists': [['docs/x.md', 'see [x](files.md#formulas)']],
  'every file that a document links to exists': [['docs/x.md', 'see [x](gone.md)']],
  'every name that a document links to a file is defined there': [
    ['docs/x.md', 'see [`Nothing`](../engine/coordinator/attempt.ts)'],
  ],
  'every file is reached from an entry or a test': [['sinks/file/forgotten.ts', 'export {}']],
}

describe('the rules', () => {
  for (const [rule, check] of Object.entries(rules) as readonly (readonly [RuleName, Rule])[]) {
    test(`hold: ${rule}`, () => {
      expect(check(tree)).toEqual([])
    })
    for (const [file, text] of breaking[rule]) {
      test(`can fail: ${rule} (${file}: ${JSON.stringify(text.slice(0, 20))})`, () => {
        expect(check(new Map([...tree, [file, text]]))).not.toEqual([])
      })
    }
  }

  test('judge the files that are there', () => {
    const count = (pattern: RegExp): number => tracked.filter((file) => pattern.test(file)).length
    expect(count(/^engine\/.*\.ts$/)).toBeGreaterThan(50)
    expect(count(/\.test\.ts$/)).toBeGreaterThan(40)
    expect(invariantsOf(tree).length).toBeGreaterThanOrEqual(13)
    expect(failuresOf(tree).length).toBeGreaterThanOrEqual(36)
    expect([...tree.values()].flatMap(citationsIn).length).toBeGreaterThan(150)
  })

  test('citations are read alone and in company', () => {
    expect(citationsIn('kept (C3) and (C1, S2), also (C4, F35), not C5')).toEqual(['C3', 'C1', 'S2', 'C4', 'F35'])
  })
})

describe('the documents', () => {
  /** Those that a user or a reader of the code is sent to; decisions are history. */
  const documents = tracked.filter((file) => /^(?:README|docs\/[a-z-]+)\.md$/.test(file))

  test('their TypeScript is correct', () => {
    const { problems, count } = checkTypes(new Map(documents.map((document) => [document, tree.get(document) ?? ''])))
    expect(problems).toEqual([])
    expect(count).toBeGreaterThan(10)
  })

  test.each(documents)('the jobs of %s can be built, its programs run', (document) => {
    const { problems } = tryTypescript(tree.get(document) ?? '')
    expect(problems).toEqual([])
  })

  test.each(documents)('the commands of %s run, or name what is there', (document) => {
    const { problems } = tryCommands(tree.get(document) ?? '')
    expect(problems).toEqual([])
  })

  test('have much that is tried, and little that only shows a shape', () => {
    const snippets = documents.flatMap((document) => snippetsOf(tree.get(document) ?? ''))
    const code = snippets.filter(({ language }) => language === 'ts')
    expect(code.length).toBeGreaterThanOrEqual(2)
    expect(code.filter((one) => one.isFragment).length).toBeLessThanOrEqual(6)
    expect(snippets.filter(({ language }) => language === 'sh').length).toBeGreaterThanOrEqual(2)
    expect(
      snippets.filter(({ language }) => ['js', 'typescript', 'javascript', 'bash', 'console'].includes(language)),
    ).toEqual([])
  })

  test('every command and flag that a document mentions is there', () => {
    const { problems, count } = tryMentions(
      [...tree].map(([file, text]) => (file.endsWith('.md') ? text : '')).join('\n'),
    )
    expect(problems).toEqual([])
    expect(count).toBeGreaterThanOrEqual(3)
  })

  test('a snippet that is wrong is found, by document and line', () => {
    const snippet = (text: string): string => `# A\n\ntext\n\n\`\`\`ts\n${text}\n\`\`\`\n`
    const { problems } = checkTypes(
      new Map([
        ['a.md', snippet("import { json } from 'sluice'\nexport const x: number = json()")],
        ['b.md', snippet("import { json } from 'sluice'\nvoid json")],
        ['c.md', snippet("import { xml } from 'sluice'\nvoid xml")],
      ]),
    )
    expect(problems).toEqual([
      expect.stringMatching(/^a\.md:7: .*Type 'LineFormat<unknown>' is not assignable/),
      expect.stringMatching(/^c\.md:6: .*no exported member 'xml'/),
    ])
  })

  test('a job that cannot be built is found', () => {
    const job = "import { defineJob } from 'sluice'\nexport default defineJob({ id: 'x', build() {} })"
    expect(tryTypescript(`\`\`\`ts\n${job}\n\`\`\`\n`).problems.join()).toMatch(/job "x" has no/)
  })

  test('a program that fails, and output that is another one, are found', () => {
    expect(tryTypescript('```ts run\nthrow new Error("no")\n```\n').problems.join()).toMatch(/ended with 1/)
    const commands = '```sh\nmkdir out\necho one > out/a\ncat out/a\n```\n'
    expect(tryCommands(`${commands}\n\`\`\`text output\none\n\`\`\`\n`).problems).toEqual([])
    expect(tryCommands(`${commands}\n\`\`\`text output\ntwo\n\`\`\`\n`).problems.join()).toMatch(
      /printed instead:\none/,
    )
  })

  test('a fragment of commands that names what is not there is found', () => {
    const commands = 'systemctl restart orders\nnpx sluice run job.ts --fast\nnpm run nothing'
    expect(tryCommands(`\`\`\`sh fragment\n${commands}\n\`\`\`\n`).problems).toHaveLength(2)
  })

  test.each([
    ['npm run nothing', /no such script/],
    ['npm run example -- nothing', /no examples nothing/],
    ['npx sluice walk', /unknown command/],
    ['npx sluice run examples/quickstart/job.ts --fast', /unknown option/],
    ['rm -rf something', /no such script/],
  ])('the command `%s` is found', (command, problem) => {
    expect(tryCommands(`\`\`\`sh\n${command}  # why\n\`\`\`\n`).problems.join()).toMatch(problem)
  })

  test('a mention of what is not there is found', () => {
    expect(tryMentions('say `sluice walk` or `sluice run --fast`').problems).toHaveLength(2)
    expect(tryMentions('`sluice checkpoints walk x`, `sluice checkpoints list x --to y`').problems).toHaveLength(2)
  })
})
