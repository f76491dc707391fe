/**
 * External names: job--lineage--generation--operator--subtask--counter (C5). Unique for ever, since a generation numbers its own
 * counters and no two starts share a generation. One reading each, since no part holds `--` or begins or ends with `-`.
 */

export interface GenerationParts {
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly operator: string
}

export interface NameParts extends GenerationParts {
  readonly subtask: number
}

/** A supplier of names that never gives one twice. */
export function externalNames(parts: NameParts): () => string {
  const prefix = `${generationPrefix(parts)}${pad(parts.subtask, 4)}--`
  let counter = 0
  return () => {
    counter += 1
    return prefix + pad(counter, 9)
  }
}

/** The beginning of all names that a generation gives to one operator. */
export function generationPrefix({ job, lineage, generation, operator }: GenerationParts): string {
  return `${lineagePrefix(job, lineage)}${pad(generation, 8)}--${operator}--`
}

/** The beginning of all names that all generations of a history give to all operators. */
export function lineagePrefix(job: string, lineage: string): string {
  return `${job}--${lineage}--`
}

/** As long as the longest name there can be. */
export function longestName(job: string, operator: string): string {
  return externalNames({ job, lineage: 'l'.repeat(32), generation: 99_999_999, operator, subtask: 9_999 })()
}

export interface OlderThan {
  readonly job: string
  /** Histories of this job: another store may hold a job of the same id, whose generations count for themselves. */
  readonly lineages: ReadonlySet<string>
  readonly operator: string
  readonly below: number
}

/** Was this name given to that operator of the job, in one of these lineages, by a generation below `below`? Any other text was not. */
export function isOlderName(name: string, { job, lineages, operator, below }: OlderThan): boolean {
  if (!name.startsWith(`${job}--`)) return false
  const match = /^([a-z0-9]{8,32})--(\d{8,})--(.+)--\d{4,}--\d{9,}$/.exec(name.slice(job.length + 2))
  return match?.[1] !== undefined && lineages.has(match[1]) && match[3] === operator && Number(match[2]) < below
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
