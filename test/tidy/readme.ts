/**
 * What README promises, tried: its TypeScript is checked against the sources and planned as a job, its cheap commands are run, of the
 * others at least the script, file or flag they name must be there.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const COMMAND = join(ROOT, 'bin/sluice.mjs')

export interface Tried {
  readonly problems: readonly string[]
  /** Snippets or commands that were looked at. */
  readonly count: number
}

/** Each ts block is type-checked; each that exports a job is planned. */
export function tryTypescript(readme: string): Tried {
  const snippets = blocksOf(readme, 'ts')
  const directory = mkdtempSync(join(tmpdir(), 'sluice-readme-'))
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(projectFor()))
    const files = snippets.map((snippet, index) => {
      const file = join(directory, `snippet-${index + 1}.ts`)
      writeFileSync(file, snippet)
      return file
    })
    const problems = [run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', directory], directory)]
    for (const [index, file] of files.entries()) {
      if (!/^export default/m.test(snippets[index] ?? '')) continue
      problems.push(run(process.execPath, [COMMAND, 'plan', file], directory))
    }
    return { problems: problems.flat(), count: snippets.length }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Our own names lead to the sources, as in a checkout. */
function projectFor(): object {
  const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string | { readonly 'sluice-source': string }>>
  }
  const paths = Object.entries(exports).flatMap(([name, target]) =>
    typeof target === 'string' ? [] : [[name.replace(/^\./, 'sluice'), [join(ROOT, target['sluice-source'])]]],
  )
  return {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: { paths: Object.fromEntries(paths) as object, types: ['node'] },
    include: ['*.ts'],
  }
}

/** In one directory, in order, with a little input where README's commands look for it. */
export function tryCommands(readme: string): Tried {
  const commands = blocksOf(readme, 'sh')
    .flatMap((block) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '')
  const directory = mkdtempSync(join(tmpdir(), 'sluice-readme-'))
  try {
    cpSync(join(ROOT, 'examples/quickstart'), join(directory, 'examples/quickstart'), { recursive: true })
    mkdirSync(join(directory, 'data'))
    writeFileSync(join(directory, 'data/a.ndjson'), '{"name":"a"}\n{"name":"b"}\n')
    return { problems: commands.flatMap((command) => tryCommand(command, directory)), count: commands.length }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** `<name>` and `[--flag]` stand for something: such a command cannot run, but what it names must be there. */
function tryCommand(command: string, directory: string): readonly string[] {
  if (command.startsWith('npx sluice ') && !/[<[]/.test(command)) {
    const shim = `npx() { shift; "${process.execPath}" "${COMMAND}" "$@"; }\n`
    return run('/bin/sh', ['-c', `${shim}${command}`], directory)
  }
  const [, script, args = ''] = /^npm (?:run )?([a-z:]+)(?: -- (.*))?$/.exec(command) ?? []
  if (script === 'ci' && existsSync(join(ROOT, 'package-lock.json'))) return []
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  if (script === undefined || scripts[script] === undefined) return [`${command}: there is no such script`]
  const program = scripts[script].split(' ').find((word) => word.endsWith('run.ts'))
  const [name] = args.split(' ')
  if (program === undefined || name === undefined || name === '' || name.startsWith('<')) return []
  const folder = dirname(program)
  const isThere = [`${folder}/${name}.ts`, `${folder}/${name}/main.ts`].some((file) => existsSync(join(ROOT, file)))
  return isThere ? [] : [`${command}: there is no ${folder} ${name}`]
}

/** Words of ours in running text: `sluice plan` and flags of it. */
export function tryMentions(text: string): Tried {
  const help = new Map<string, string>()
  const helpOf = (command: string): string => {
    const known =
      help.get(command) ?? spawnSync(process.execPath, [COMMAND, command, '--help'], { encoding: 'utf8' }).stdout
    help.set(command, known)
    return known
  }
  const mentions = [...text.matchAll(/`sluice ([a-z]+)([^`]*)`/g)]
  const problems = mentions.flatMap(([mention, command = '', rest = '']) => {
    const known = helpOf(command)
    if (!known.startsWith(`Usage: sluice ${command}`)) return [`${mention}: there is no such command`]
    const flags = [...rest.matchAll(/--[a-z-]+/g)].map(([flag]) => flag)
    return flags.filter((flag) => !known.includes(flag)).map((flag) => `${mention}: there is no ${flag}`)
  })
  return { problems, count: mentions.length }
}

function blocksOf(markdown: string, language: string): readonly string[] {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    (match) => match[1] ?? '',
  )
}

function run(program: string, argv: readonly string[], cwd: string): readonly string[] {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: 'utf8' })
  return status === 0 ? [] : [`${argv.at(-1)} ended with ${status}: ${stdout}${stderr}`]
}
