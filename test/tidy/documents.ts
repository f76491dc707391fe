/**
 * What the documents promise, tried: their TypeScript is checked against the sources and planned where it is a job, their cheap commands
 * are run, of the others at least the script, file or flag they name must be there.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, SnippetLibrary, SnippetProject, snippetsOf } from '../docs/snippets.ts'

const COMMAND = join(ROOT, 'bin/sluice.mjs')

export interface Tried {
  readonly problems: readonly string[]
  /** Snippets or commands that were looked at. */
  readonly count: number
}

/** The ts blocks of all documents are type-checked, in one run of the compiler. @param documents name to text */
export function checkTypes(documents: ReadonlyMap<string, string>): Tried {
  using library = new SnippetLibrary(documents)
  const { directory, files } = library
  if (files.length === 0) return { problems: [], count: 0 }
  const argv = ['-p', directory, '--pretty', 'false']
  const { status, stdout, stderr } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), argv, {
    cwd: directory,
    encoding: 'utf8',
  })
  if (status === 0) return { problems: [], count: files.length }
  const problems = stdout.split(/\n(?=\S)/).map((problem) => {
    const [, path = '', line = '', what = ''] = /^(\S+)\((\d+),\d+\): (.*)$/s.exec(problem.trim()) ?? []
    const file = files.find((one) => one.path === join(directory, path))
    return file === undefined ? problem : `${file.document}:${file.snippet.line + Number(line) - 1}: ${what}`
  })
  return { problems: stderr === '' ? problems : [...problems, stderr], count: files.length }
}

/** Of the ts blocks of a document each that exports a job is planned, each that says `run` is run. */
export function tryTypescript(markdown: string): Tried {
  using project = new SnippetProject(markdown)
  const { directory, files } = project
  const problems: string[] = []
  for (const { path, snippet } of files) {
    if (/^export default/m.test(snippet.text))
      problems.push(...run(process.execPath, [COMMAND, 'plan', path], directory))
    if (!snippet.words.includes('run')) continue
    problems.push(...run(process.execPath, ['--conditions=sluice-source', path], directory))
  }
  return { problems, count: files.length }
}

/**
 * In order, where the files of the document lie, beside the examples and a little input. Of fragments only what they name is looked at.
 */
export function tryCommands(markdown: string): Tried {
  using project = new SnippetProject(markdown)
  const { directory } = project
  cpSync(join(ROOT, 'examples/quickstart'), join(directory, 'examples/quickstart'), { recursive: true })
  mkdirSync(join(directory, 'data'))
  writeFileSync(join(directory, 'data/a.ndjson'), '{"name":"a"}\n{"name":"b"}\n')
  const problems: string[] = []
  let count = 0
  let printed = ''
  for (const { language, words, isFragment, text, line } of snippetsOf(markdown)) {
    if (language === 'text' && words.includes('output') && printed !== text) {
      problems.push(`line ${line}: this is printed instead:\n${printed}`)
    }
    if (language !== 'sh') continue
    const commands = commandsOf(text)
    count += commands.length
    printed = ''
    // Of other projects there is `npm start` and the like; `npm run` is meant of this one.
    if (isFragment)
      problems.push(...commands.filter((one) => one.startsWith('npm run')).flatMap(tryScript), ...tryInvocations(text))
    for (const command of isFragment ? [] : commands) {
      const tried = tryCommand(command, directory)
      problems.push(...tried.problems)
      printed += tried.printed
    }
  }
  return { problems, count }
}

function commandsOf(block: string): readonly string[] {
  const lines = block.replaceAll(/\\\n\s*/g, '').split('\n')
  return lines.map((line) => line.replace(/(^|\s+)#.*$/, '').trim()).filter((line) => line !== '')
}

interface Outcome {
  readonly problems: readonly string[]
  readonly printed: string
}

/** `<name>` and `[--flag]` stand for something: such a command cannot run, but what it names must be there. */
function tryCommand(command: string, directory: string): Outcome {
  const isOurs = command.startsWith('npx sluice ')
  if (isOurs && /[<[]/.test(command)) return { problems: tryInvocations(command), printed: '' }
  if (!isOurs && !/^(?:mkdir|echo|cat|ls) /.test(command)) {
    const isScript = command.startsWith('npm ')
    return {
      problems: isScript
        ? command.split('&&').flatMap((one) => tryScript(one.trim()))
        : [`${command}: there is no such script`],
      printed: '',
    }
  }
  const shim = `npx() { shift; "${process.execPath}" "${COMMAND}" "$@"; }\n`
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', `${shim}${command}`], {
    cwd: directory,
    encoding: 'utf8',
  })
  return { problems: status === 0 ? [] : [`${command} ended with ${status}: ${stdout}${stderr}`], printed: stdout }
}

/** An npm script is there, and the example, benchmark or service that it takes. */
function tryScript(command: string): readonly string[] {
  const [, script, args = ''] = /^npm (?:run )?([a-z:]+)(?: -- (.*))?$/.exec(command) ?? []
  if (script === undefined) return [`${command}: there is no such script`]
  if (script === 'ci' && existsSync(join(ROOT, 'package-lock.json'))) return []
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  if (scripts[script] === undefined) return [`${command}: there is no such script`]
  const program = scripts[script].split(' ').find((word) => word.endsWith('run.ts'))
  const [name] = args.split(' ')
  if (program === undefined || name === undefined || name === '' || name.startsWith('<')) return []
  const folder = dirname(program)
  const files = [`${name}.ts`, `${name}/main.ts`, `${name}/command.ts`]
  const isThere = files.some((file) => existsSync(join(ROOT, folder, file)))
  return isThere ? [] : [`${command}: there is no ${folder} ${name}`]
}

/** Words of ours in running text: `sluice plan` and flags of it. */
export function tryMentions(text: string): Tried {
  const mentions = [...text.matchAll(/`(?:npx\s+)?(sluice\s+[a-z]+[^`]*)`/g)].map(([, one = '']) =>
    one.replaceAll(/\s+/g, ' '),
  )
  return { problems: mentions.flatMap(tryInvocations), count: mentions.length }
}

const helps = new Map<string, string>()

function helpOf(command: string): string {
  const known =
    helps.get(command) ??
    spawnSync(process.execPath, [COMMAND, ...command.split(' '), '--help'], { encoding: 'utf8' }).stdout
  helps.set(command, known)
  return known
}

/** Every `sluice <command> … --flag …` in a text names what there is. */
function tryInvocations(text: string): readonly string[] {
  const joined = text.replaceAll(/\\\n\s*/g, '')
  return [...joined.matchAll(/(?:^|[\s"'/])sluice ([a-z]+)\b([^\n|;&]*)/g)].flatMap(([, command = '', rest = '']) => {
    const help = helpOf(command)
    if (!help.startsWith(`Usage: sluice ${command}`)) return [`sluice ${command}: there is no such command`]
    const [, below = ''] = /^ ([a-z]+)/.exec(rest) ?? []
    const isGroup = help.includes('\nCommands:\n') && below !== ''
    const known = isGroup ? helpOf(`${command} ${below}`) : help
    if (isGroup && !known.startsWith(`Usage: sluice ${command} ${below}`))
      return [`sluice ${command} ${below}: there is no such command`]
    const flags = [...rest.replace(/\s#.*$/, '').matchAll(/(?<=[\s[])--[a-z-]+/g)].map(([flag]) => flag)
    return flags.filter((flag) => !known.includes(flag)).map((flag) => `sluice ${command}${rest}: there is no ${flag}`)
  })
}

function run(program: string, argv: readonly string[], cwd: string): readonly string[] {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: 'utf8' })
  return status === 0 ? [] : [`${argv.at(-1)} ended with ${status}: ${stdout}${stderr}`]
}
