/**
 * External names: job--lineage--generation--operator--subtask--counter (C5). Unique for ever, since a generation numbers its own
 * counters and no two starts share a generation. One reading each, since no part holds `--` or begins or ends with `-`.
 */

export interface NameParts {
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly operator: string
  readonly subtask: number
}

/** A supplier of names that never gives one twice. */
export function externalNames(parts: NameParts): () => string {
  const prefix = `${parts.job}--${parts.lineage}--${pad(parts.generation, 8)}--${parts.operator}--${pad(parts.subtask, 4)}--`
  let counter = 0
  return () => {
    counter += 1
    return prefix + pad(counter, 9)
  }
}

/** The generation in a name of this job, whatever its lineage; undefined for any other text. */
export function generationOfName(name: string, jobPrefix: string): number | undefined {
  if (!name.startsWith(jobPrefix)) return undefined
  const match = /^[a-z0-9]{8,32}--(\d{8,})--.+--\d{4,}--\d{9,}$/.exec(name.slice(jobPrefix.length))
  return match?.[1] === undefined ? undefined : Number(match[1])
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
