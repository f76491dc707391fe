/**
 * What a reader can tell of records alone, in the order in which it saw them: none came twice, and what belongs to one customer came in
 * order.
 */
type Record = Readonly<{ [name: string]: unknown }>

/** What is wrong with the next record; undefined: nothing. */
export type Check = (record: Record) => string | undefined

/** Orders have ids that grow. */
export function orderCheck(): Check {
  const seen = new Set<string>()
  const lastOf = new Map<string, string>()
  return ({ id, customer }) => {
    const [order, who] = [String(id), String(customer)]
    if (seen.has(order)) return `order ${order} came twice`
    seen.add(order)
    const before = lastOf.get(who)
    lastOf.set(who, order)
    return before === undefined || before < order ? undefined : `order ${order} of ${who} came after ${before}`
  }
}

/** A customer's running totals grow by one order at a time. */
export function totalCheck(): Check {
  const lastOf = new Map<string, { readonly orders: number; readonly cents: number }>()
  return (record) => {
    const [who, orders, cents] = [String(record['customer']), Number(record['orders']), Number(record['cents'])]
    const before = lastOf.get(who) ?? { orders: 0, cents: 0 }
    lastOf.set(who, { orders, cents })
    if (orders !== before.orders + 1) return `total ${orders} of ${who} came after total ${before.orders}`
    return cents > before.cents
      ? undefined
      : `total ${orders} of ${who} is ${cents} cents, the one before ${before.cents}`
  }
}
