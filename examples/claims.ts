/** What an example claims of its output, and what DuckDB says to it: SQL over tables of what went in and what came out. */
import { JobProblem } from './running-job.ts'

export interface Proof {
  /** Of DuckDB. */
  readonly version: string
  readonly claims: readonly Proven[]
}

export interface Claim {
  readonly text: string
  /** One row: how many were compared, how many are wrong, and the first of those. */
  readonly sql: string
}

export interface Proven extends Claim {
  readonly compared: number
  readonly wrong: number
  /** Undefined: none is wrong. */
  readonly example: string | undefined
}

/** @param tables statements that make them. @throws JobProblem where DuckDB has no library for this machine */
export async function proveClaims(claims: readonly Claim[], tables: readonly string[]): Promise<Proof> {
  const { DuckDBInstance, version } = await import('@duckdb/node-api').catch((cause: unknown) => {
    throw new JobProblem(`nothing is proven, DuckDB cannot be loaded here: ${String(cause)}`)
  })
  const database = await DuckDBInstance.create(':memory:')
  const connection = await database.connect()
  try {
    for (const table of tables) await connection.run(table)
    const proven: Proven[] = []
    for (const claim of claims) {
      const [row = []] = (await connection.runAndReadAll(claim.sql)).getRowsJson()
      const [compared, wrong, example] = row
      proven.push({
        ...claim,
        compared: Number(compared),
        wrong: Number(wrong),
        example: typeof example === 'string' ? example : undefined,
      })
    }
    return { version: version(), claims: proven }
  } finally {
    connection.closeSync()
    database.closeSync()
  }
}
