/**
 * Orders of a shop that never was: from a seed and a number always the same order, so that what a run wrote can be checked against what it
 * should have written. `writeOrders` puts them into NDJSON files, as a shop system would.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface Order {
  readonly id: string
  readonly customer: string
  readonly country: string
  readonly status: 'paid' | 'pending' | 'refunded'
  readonly lines: readonly { readonly sku: string; readonly quantity: number; readonly cents: number }[]
  /** Milliseconds since 1970; grows with the number. */
  readonly placedAt: number
}

const CUSTOMERS = 20_000
const PRODUCTS = 500
const COUNTRIES = ['AT', 'BR', 'DE', 'FR', 'IN', 'JP', 'NG', 'PL', 'SE', 'US']
const FIRST_PLACED_AT = Date.UTC(2026, 0, 1)
const FILES = 4

/** `index`: 0, 1, …. A few customers order much, most order little. */
export function orderAt(seed: number, index: number): Order {
  const random = randomOf(seed, index)
  const customer = Math.floor(CUSTOMERS * random() ** 3)
  const chance = random()
  return {
    id: `o-${String(index).padStart(8, '0')}`,
    customer: `c-${customer}`,
    country: COUNTRIES[customer % COUNTRIES.length] ?? 'DE',
    status: chance < 0.85 ? 'paid' : chance < 0.97 ? 'pending' : 'refunded',
    lines: Array.from({ length: 1 + Math.floor(2.2 * random()) }, () => {
      const product = Math.floor(PRODUCTS * random())
      return { sku: `p-${product}`, quantity: 1 + Math.floor(3 * random()), cents: 199 + ((product * 37) % 9_800) }
    }),
    placedAt: FIRST_PLACED_AT + index * 250 + Math.floor(250 * random()),
  }
}

/** Writes `count` orders into a few files of `directory`, in order by name. Resolves with the bytes of each file. */
export async function writeOrders(
  directory: string,
  { seed, count }: { readonly seed: number; readonly count: number },
): Promise<ReadonlyMap<string, number>> {
  await mkdir(directory, { recursive: true })
  const sizes = new Map<string, number>()
  const perFile = Math.max(1, Math.ceil(count / FILES))
  for (let first = 0; first < count; first += perFile) {
    const name = `orders-${String(first).padStart(8, '0')}.ndjson`
    const stream = createWriteStream(join(directory, name))
    for (let index = first; index < Math.min(count, first + perFile); index += 1) {
      if (!stream.write(`${JSON.stringify(orderAt(seed, index))}\n`)) await once(stream, 'drain')
    }
    stream.end()
    await once(stream, 'finish')
    sizes.set(name, stream.bytesWritten)
  }
  return sizes
}

/** In [0, 1), from the seed and the index alone (mulberry32). */
function randomOf(seed: number, index: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
