/** Map, filter, map and keyed sum, fused by hand, with one Map: what the engine's chain is measured against. */

export interface Order {
  readonly key: string
  readonly amount: number
}

/** Of the first `records` orders, begun anew when there are fewer; a checksum of all sums. */
export function bareChain(orders: readonly Order[], records: number): number {
  const sums = new Map<string, number>()
  let checksum = 0
  for (let index = 0; index < records; index += 1) {
    const order = orders[index % orders.length]
    if (order === undefined) continue
    const doubled = { key: order.key, amount: order.amount * 2 }
    if (doubled.amount === 1_998) continue
    const moved = { key: doubled.key, amount: doubled.amount + 1 }
    const sum = (sums.get(moved.key) ?? 0) + moved.amount
    sums.set(moved.key, sum)
    checksum = (checksum + sum) % 1_000_003
  }
  return checksum
}
