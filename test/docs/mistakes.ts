/**
 * The mistakes that a document shows: a ```diff block against its own code, and behind it a ```text block with the names of the checks
 * that find it.
 */
import { snippetsOf } from './snippets.ts'

export interface Mistake {
  /** Of the diff in the document. */
  readonly line: number
  readonly diff: string
  /** Checks that must fail, and no others. */
  readonly named: readonly string[]
}

export function mistakesOf(markdown: string): readonly Mistake[] {
  const blocks = snippetsOf(markdown)
  return blocks.flatMap(({ language, text, line }, index) =>
    language === 'diff' ? [{ diff: text, line, named: blocks[index + 1]?.text.trimEnd().split('\n') ?? [] }] : [],
  )
}

/** Lines that begin with `-` become those that begin with `+`. @throws when the document does not hold them once */
export function withMistake(markdown: string, { diff }: Mistake): string {
  const lines = diff.trimEnd().split('\n')
  const of = (mark: string) => lines.flatMap((line) => (line.startsWith(mark) ? [`\n${line.slice(1)}`] : [])).join('')
  const [before, after, ...more] = markdown.split(of('-'))
  if (after === undefined || more.length > 0) throw new Error(`not once in the document:${of('-')}`)
  return before + of('+') + after
}
