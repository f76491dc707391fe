/**
 * Goes behind the job's back, so that it can be seen that the checks would find it: each kind is what one of them is there for.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SHOWN_LENGTH } from './reader.ts'

export const SABOTAGES = {
  double: 'a visible order is written a second time',
  drop: 'a visible order is taken away',
  change: 'a visible total is changed',
  swap: 'two visible totals of one customer change places',
  vanish: 'a visible file is removed',
  early: 'a hidden file is made visible before its checkpoint has completed',
} as const

export type Sabotage = keyof typeof SABOTAGES

/** Is there something to do it to, at a glance? */
export function isPossible(kind: Sabotage, output: string): boolean {
  return kind !== 'early' || hiddenWithContent(join(output, 'enriched')) !== undefined
}

/** What was done; undefined: nothing is there yet to do it to. */
export function sabotage(kind: Sabotage, output: string): string | undefined {
  switch (kind) {
    case 'double':
      return rewrite(join(output, 'enriched'), (lines, at) => lines.splice(at, 0, lines[at] ?? ''))
    case 'drop':
      return rewrite(join(output, 'enriched'), (lines, at) => lines.splice(at, 1))
    case 'change':
      return rewrite(join(output, 'totals'), (lines, at) => {
        const total = JSON.parse(lines[at] ?? '') as { readonly cents: number }
        lines[at] = JSON.stringify({ ...total, cents: total.cents + 1 })
      })
    case 'swap':
      return rewrite(join(output, 'totals'), swapTwoOfOneCustomer)
    case 'vanish':
      return vanish(join(output, 'totals'))
    case 'early':
      return makeVisible(join(output, 'enriched'))
    default:
      throw new Error(`there is no sabotage ${String(kind satisfies never)}`)
  }
}

/** In the middle of the newest visible file. */
function rewrite(directory: string, edit: (lines: string[], at: number) => unknown): string | undefined {
  const file = newestVisible(directory)
  if (file === undefined) return undefined
  const lines = linesOf(readFileSync(join(directory, file), 'utf8'))
  const at = Math.floor(lines.length / 2)
  const before = [...lines]
  edit(lines, at)
  const changed = before.findIndex((line, index) => lines[index] !== line)
  if (changed === -1) return undefined
  writeFileSync(join(directory, file), lines.map((line) => `${line}\n`).join(''))
  return `${file}, line ${changed + 1}, which was ${before[changed]?.slice(0, SHOWN_LENGTH)}`
}

/** The first customer who has two of them, from there on or from the beginning. */
function swapTwoOfOneCustomer(lines: string[], from: number): void {
  const customers = lines.map((line) => (JSON.parse(line) as { readonly customer: string }).customer)
  for (const start of [from, 0]) {
    for (let one = start; one < lines.length; one += 1) {
      const other = customers.indexOf(customers[one] ?? '', one + 1)
      if (other === -1) continue
      const [first = '', second = ''] = [lines[one], lines[other]]
      lines[one] = second
      lines[other] = first
      return
    }
  }
}

function vanish(directory: string): string | undefined {
  const file = newestVisible(directory)
  if (file === undefined) return undefined
  rmSync(join(directory, file))
  return file
}

/** As far as it is written; what the job does with it later replaces it. */
function makeVisible(directory: string): string | undefined {
  const name = hiddenWithContent(directory)
  if (name === undefined) return undefined
  const text = readFileSync(join(directory, name), 'utf8')
  const [job = '', lineage = '', ...rest] = name.slice('.'.length, -'.part'.length).split('--')
  const visible = `part-${[...rest, job, lineage].join('--')}.ndjson`
  writeFileSync(join(directory, '.early'), text.slice(0, text.lastIndexOf('\n') + 1))
  renameSync(join(directory, '.early'), join(directory, visible))
  return visible
}

function hiddenWithContent(directory: string): string | undefined {
  return readdirSync(directory).find(
    (name) => /^\..+\.part$/.test(name) && (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0) > 0,
  )
}

function newestVisible(directory: string): string | undefined {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .at(-1)
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}
