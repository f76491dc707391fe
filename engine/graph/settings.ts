/**
 * Settings of a job: texts given with `--set name=value`, read by `build`. What was read and what was given is compared, so that a
 * misspelt one is refused.
 */
import { TerminalError } from '../api/index.ts'

export interface Settings {
  /** @throws TerminalError when it is neither given nor has a default */
  string(name: string, options?: { readonly default?: string }): string
  /** @throws TerminalError when it is no number */
  number(name: string, options?: { readonly default?: number }): number
  /** `true` or `false`; false when not given. */
  flag(name: string): boolean
}

export class GivenSettings implements Settings {
  readonly #given: Readonly<Record<string, string>>
  readonly #read = new Set<string>()

  constructor(given: Readonly<Record<string, string>>) {
    this.#given = given
  }

  string(name: string, options: { readonly default?: string } = {}): string {
    this.#read.add(name)
    const text = this.#given[name] ?? options.default
    if (text === undefined) throw new TerminalError(`setting "${name}" is missing: give it with --set ${name}=…`)
    return text
  }

  number(name: string, options: { readonly default?: number } = {}): number {
    const text = this.string(name, options.default === undefined ? {} : { default: String(options.default) })
    const parsed = Number(text)
    if (text.trim() === '' || Number.isNaN(parsed))
      throw new TerminalError(`setting "${name}" is ${JSON.stringify(text)}, not a number`)
    return parsed
  }

  flag(name: string): boolean {
    const text = this.string(name, { default: 'false' })
    if (text === 'true' || text === 'false') return text === 'true'
    throw new TerminalError(`setting "${name}" is ${JSON.stringify(text)}: say true or false`)
  }

  /** @throws TerminalError for given settings that nothing read */
  refuseUnread(): void {
    const unread = Object.keys(this.#given).filter((name) => !this.#read.has(name))
    if (unread.length === 0) return
    const known = [...this.#read].join(', ') || 'none'
    throw new TerminalError(`the job does not know the setting "${unread.join('", "')}"; it knows: ${known}`)
  }
}
