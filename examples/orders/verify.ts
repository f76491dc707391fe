/**
 * Checks what a consumer of the orders job would see, without the engine and without the job's code: what should be there is computed from
 * the generator.
 *
 * Read in order of file names, orders come one after another and a customer's totals grow by one order at a time. So one pass tells a
 * duplicate, a gap and a wrong number, also while the job is not done yet.
 */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { orderAt } from './generate.ts'

export interface Expected {
  readonly seed: number
  readonly count: number
  /** Of each customer: the running total after each paid order. */
  readonly totals: ReadonlyMap<string, readonly number[]>
}

export interface Verdict {
  /** Lines compared. */
  readonly orders: number
  readonly totals: number
  /** Empty: all as it should be. The first ones only. */
  readonly problems: readonly string[]
}

const MAX_PROBLEMS = 10

export function expectedOf(seed: number, count: number): Expected {
  const totals = new Map<string, number[]>()
  for (let index = 0; index < count; index += 1) {
    const order = orderAt(seed, index)
    if (order.status !== 'paid') continue
    const before = totals.get(order.customer)
    if (before === undefined) totals.set(order.customer, [centsOf(order)])
    else before.push((before.at(-1) ?? 0) + centsOf(order))
  }
  return { seed, count, totals }
}

/** `isComplete`: the job says it has finished, so nothing may be missing and nothing hidden may be left. */
export async function verify(output: string, expected: Expected, isComplete: boolean): Promise<Verdict> {
  const problems: string[] = []
  const orders = await verifyOrders(join(output, 'enriched'), expected, problems)
  const lastOf = new Map<string, number>()
  const totals = await verifyTotals(join(output, 'totals'), expected, { lastOf, problems })
  if (isComplete) {
    if (orders !== expected.count) problems.push(`${orders} enriched orders are visible, ${expected.count} were placed`)
    for (const [customer, sums] of expected.totals) {
      const last = lastOf.get(customer) ?? 0
      if (last !== sums.length)
        problems.push(`${customer}: ${last} totals are visible, ${sums.length} orders were paid`)
    }
    for (const sink of ['enriched', 'totals']) {
      const hidden = (await namesIn(join(output, sink))).filter((name) => name.startsWith('.'))
      if (hidden.length > 0) problems.push(`${sink} has ${hidden.length} hidden files left, like ${hidden[0]}`)
    }
  }
  return { orders, totals, problems: problems.slice(0, MAX_PROBLEMS) }
}

async function verifyOrders(directory: string, expected: Expected, problems: string[]): Promise<number> {
  let next = 0
  for await (const { at, line } of linesOf(directory)) {
    const { cents, size, ...order } = line
    const placed = orderAt(expected.seed, next)
    const sum = centsOf(placed)
    if (
      JSON.stringify(order) !== JSON.stringify(placed) ||
      cents !== sum ||
      size !== (sum < 20_000 ? 'small' : 'large')
    ) {
      problems.push(`${at}: expected ${placed.id} with ${sum} cents, found ${JSON.stringify(line)}`)
      if (problems.length >= MAX_PROBLEMS) return next
    }
    next += 1
  }
  return next
}

async function verifyTotals(
  directory: string,
  expected: Expected,
  { lastOf, problems }: { readonly lastOf: Map<string, number>; readonly problems: string[] },
): Promise<number> {
  let compared = 0
  for await (const { at, line } of linesOf(directory)) {
    const customer = String(line['customer'])
    const number = (lastOf.get(customer) ?? 0) + 1
    const cents = expected.totals.get(customer)?.[number - 1]
    if (line['orders'] !== number || line['cents'] !== cents) {
      problems.push(`${at}: expected total ${number} of ${customer}, ${cents} cents, found ${JSON.stringify(line)}`)
      if (problems.length >= MAX_PROBLEMS) return compared
    }
    lastOf.set(customer, number)
    compared += 1
  }
  return compared
}

interface Line {
  /** File and line number. */
  readonly at: string
  readonly line: Readonly<Record<string, unknown>>
}

/** Of all visible files, in order of their names. */
async function* linesOf(directory: string): AsyncGenerator<Line> {
  const names = (await namesIn(directory)).filter((name) => !name.startsWith('.'))
  for (const name of names.toSorted()) {
    let number = 0
    for await (const text of createInterface({ input: createReadStream(join(directory, name)) })) {
      number += 1
      yield { at: `${name}:${number}`, line: JSON.parse(text) as Readonly<Record<string, unknown>> }
    }
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    // Nothing was written yet.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function centsOf(order: ReturnType<typeof orderAt>): number {
  return order.lines.reduce((sum, line) => sum + line.quantity * line.cents, 0)
}
