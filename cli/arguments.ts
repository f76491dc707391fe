/**
 * Texts of the command line to values; what cannot be read is refused with how to write it.
 */
import { TerminalError } from '../engine/api/index.ts'
import { MAX_PARALLELISM } from '../engine/graph/plan.ts'

/** @throws TerminalError when one is not `name=value`, or a name is given two values */
export function parseSettings(given: readonly string[]): Readonly<Record<string, string>> {
  const settings = new Map<string, string>()
  for (const text of given) {
    const at = text.indexOf('=')
    if (at < 1) throw new TerminalError(`--set ${text}: write it as --set name=value`, { code: 'SLUICE_USAGE' })
    const name = text.slice(0, at)
    const value = text.slice(at + 1)
    const other = settings.get(name)
    if (other !== undefined && other !== value) {
      throw new TerminalError(
        `--set ${name} is given twice, as ${JSON.stringify(other)} and ${JSON.stringify(value)}`,
        { code: 'SLUICE_USAGE' },
      )
    }
    settings.set(name, value)
  }
  return Object.fromEntries(settings)
}

export type RestoreArgument = 'latest' | 'none' | number | { readonly uri: string }

/** Whatever is no word and no number is the place of a savepoint. @throws TerminalError */
export function parseRestore(text: string): RestoreArgument {
  if (text === 'latest' || text === 'none') return text
  return /^[0-9]+$/.test(text) || text === '' ? parseCheckpoint(text, '--restore') : { uri: text }
}

/** @throws TerminalError */
export function parseCheckpoint(text: string, flag: string): number {
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number
  const words = flag === '--restore' ? ', the place of a savepoint, latest or none' : ''
  throw new TerminalError(`${flag} ${text}: give the number of a checkpoint${words}`, { code: 'SLUICE_USAGE' })
}

/** @throws TerminalError */
export function parseParallelism(text: string): number {
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && number >= 1 && number <= MAX_PARALLELISM) return number
  throw new TerminalError(`--parallelism ${text}: give a number from 1 to ${MAX_PARALLELISM}`, { code: 'SLUICE_USAGE' })
}
