/** What each command says of itself, and docs/cli.md: the same commands, arguments and options, and nothing wider than a terminal. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { COMMAND } from './command.ts'

const WIDTH = 80
const manual = readFileSync('docs/cli.md', 'utf8')

/** What a command takes, by its help or by the manual. */
interface Taken {
  readonly command: string
  /** `--store <uri>`, in the order of the alphabet. */
  readonly options: readonly string[]
  /** `<` for each that must be given, `[` for each that may be. */
  readonly arguments: string
}

function helpOf(...command: readonly string[]): string {
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, ...command, '--help'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`sluice ${command.join(' ')} --help ended with ${status}`)
  return stdout
}

function subcommandsIn(help: string): readonly string[] {
  const [, list = ''] = /^Commands:\n((?: .*\n)+)/m.exec(help) ?? []
  return [...list.matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name)
}

/** All commands and groups, with their help. */
function commandHelps(...above: readonly string[]): readonly (readonly [command: string, help: string])[] {
  const help = helpOf(...above)
  const below = subcommandsIn(help).flatMap((name) => commandHelps(...above, name))
  return [[above.join(' '), help], ...below]
}

const helps = commandHelps()
/** Those that do something. */
const commands = helps.filter(([, help]) => subcommandsIn(help).length === 0)

function inHelp(command: string, help: string): Taken {
  const [, usage = ''] = /^Usage: (.*)$/m.exec(help) ?? []
  const options = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+(?: <[^>]+>)?)/gm)].map(([, option = '']) => option)
  return {
    command,
    options: options.filter((option) => option !== '--help').toSorted(),
    arguments: argumentsIn(usage.replace('[options]', '')),
  }
}

/** Where the manual tells of `command`: its usage, which is its first mention in backticks, and the table of options of its section. */
function inManual(manualText: string, command: string): Taken {
  const [name = ''] = command.split(' ')
  const section = new RegExp(`^## sluice ${name}$([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(manualText)?.[1] ?? ''
  const rows = [...section.matchAll(/^\| `(--[^`]+)` \|/gm)].map(([, option = '']) => option)
  const usage = [...section.matchAll(/`(sluice\s[^`]*)`/g)]
    .map(([, text = '']) => text.replaceAll(/\s+/g, ' '))
    .find((text) => new RegExp(`^sluice ${command}( |$)`).test(text))
  const inUsage = [...(usage ?? '').matchAll(/--[a-z-]+(?: <[^>]+>)?/g)].map(([option]) => option)
  return {
    command,
    options: [...new Set([...rows, ...inUsage])].toSorted(),
    arguments: argumentsIn(usage ?? ''),
  }
}

function argumentsIn(usage: string): string {
  const words = usage.replaceAll(/\[--[^\]]*\]|--[a-z-]+ <[^>]*>/g, '')
  return [...words.matchAll(/[<[](?=[a-z.]+[>\]])/g)].join('')
}

test('the manual and the help of every command name the same arguments and options', () => {
  expect(commands.length).toBeGreaterThanOrEqual(13)
  expect(commands.map(([command]) => inManual(manual, command))).toEqual(
    commands.map(([command, help]) => inHelp(command, help)),
  )
})

test('an option that the manual has forgotten, or made up, is found', () => {
  const status = helps.find(([command]) => command === 'status')?.[1] ?? ''
  const taken = inHelp('status', status)
  expect(taken).toEqual({ command: 'status', options: ['--json', '--store <uri>', '--watch'], arguments: '<' })
  expect(inManual(manual.replace(/^\| `--watch`.*\n/m, ''), 'status')).not.toEqual(taken)
  expect(inManual(manual.replaceAll('| `--watch`', '| `--look`'), 'status')).not.toEqual(taken)
})

test('every command has a section, and every section a command', () => {
  const sections = [...manual.matchAll(/^## sluice ([a-z]+)$/gm)].map(([, name = '']) => name)
  expect(sections.toSorted()).toEqual(subcommandsIn(helps[0]?.[1] ?? '').toSorted())
})

test.each(helps)('the help of `sluice %s` fits a terminal', (_, help) => {
  expect(help.split('\n').filter((line) => line.length > WIDTH)).toEqual([])
})
