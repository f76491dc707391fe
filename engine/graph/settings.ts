/**
 * Settings of a job: texts given with `--set name=value`, or kept from the last run, read by `build`. What was read and what was given
 * is compared, so that a misspelt one is refused; what only the last run knew is passed over, as the job may have been edited.
 */
import { TerminalError } from '../api/index.ts'

/** What `build` can ask for; all of it is text on the command line. */
export interface Settings {
  /** @throws TerminalError when it is neither given nor has a default */
  string(name: string, options?: { readonly default?: string }): string
  /** @throws TerminalError when it is no finite number */
  number(name: string, options?: { readonly default?: number }): number
  /** `true` or `false`; false when not given. */
  flag(name: string): boolean
}

type Texts = Readonly<Record<string, string>>

export class GivenSettings implements Settings {
  readonly #given: Texts
  readonly #reused: Texts
  readonly #read = new Set<string>()

  constructor(given: Texts, reused: Texts = {}) {
    this.#given = given
    this.#reused = reused
  }

  string(name: string, options: { readonly default?: string } = {}): string {
    this.#read.add(name)
    const text = this.#text(name) ?? options.default
    if (text === undefined)
      throw new TerminalError(`setting "${name}" is missing: give it with --set ${name}=…`, {
        code: 'SLUICE_SETTING_MISSING',
      })
    return text
  }

  number(name: string, options: { readonly default?: number } = {}): number {
    const text = this.string(name, options.default === undefined ? {} : { default: String(options.default) })
    const parsed = Number(text)
    if (text.trim() !== '' && Number.isFinite(parsed)) return parsed
    throw new TerminalError(
      `setting "${name}" is ${JSON.stringify(text)}, not a number: give one with --set ${name}=<number>`,
      { code: 'SLUICE_SETTING_INVALID' },
    )
  }

  flag(name: string): boolean {
    const text = this.string(name, { default: 'false' })
    if (text === 'true' || text === 'false') return text === 'true'
    throw new TerminalError(`setting "${name}" is ${JSON.stringify(text)}: say --set ${name}=true or ${name}=false`, {
      code: 'SLUICE_SETTING_INVALID',
    })
  }

  /** What was both read and given or reused; defaults are not in it. */
  get used(): Texts {
    const names = [...this.#read].toSorted()
    return Object.fromEntries(names.flatMap((name) => [this.#text(name)].flatMap((text) => entryOf(name, text))))
  }

  /** @throws TerminalError for given settings that nothing read */
  refuseUnread(): void {
    const unread = Object.keys(this.#given).filter((name) => !this.#read.has(name))
    if (unread.length === 0) return
    const known = [...this.#read].toSorted().join(', ') || 'none'
    throw new TerminalError(`the job does not know the setting "${unread.join('", "')}"; it knows: ${known}`, {
      code: 'SLUICE_SETTING_UNKNOWN',
    })
  }

  #text(name: string): string | undefined {
    if (Object.hasOwn(this.#given, name)) return this.#given[name]
    return Object.hasOwn(this.#reused, name) ? this.#reused[name] : undefined
  }
}

function entryOf(name: string, text: string | undefined): readonly (readonly [string, string])[] {
  return text === undefined ? [] : [[name, text]]
}
