/** Orders of a shop that never was, as they arrive in Kafka: some sent twice or long after, some that are no orders. */
import { SeededRandom } from '../../sources/generator/seeded-random.ts'
import { inOrderOfArrival, type Arrival } from '../kafka-trial/example.ts'

const CUSTOMERS = 200
const FIRST_PLACED_AT = Date.UTC(2026, 0, 1)
const SENT_AGAIN = 0.06
const NO_ORDER = 0.004
/** In orders. */
const SOON = 5
const LONG = 5_000

export function orderArrivals(seed: number, count: number): readonly Arrival[] {
  const random = new SeededRandom(seed)
  const numbers = new Map<string, number>()
  const all = Array.from({ length: count }, (_, index) => {
    random.restartAt(index)
    // A few customers order much, most order little.
    const customer = `c-${Math.floor(CUSTOMERS * random.next() ** 3)}`
    const chance = random.next()
    if (chance < NO_ORDER) return [{ at: index, key: customer, value: noOrder(customer, random.next()) }]
    const number = (numbers.get(customer) ?? 0) + 1
    numbers.set(customer, number)
    const cents = 199 + Math.floor(20_000 * random.next())
    const order = {
      at: index,
      key: customer,
      value: JSON.stringify({ customer, number, cents, placedAt: FIRST_PLACED_AT + index * 250 }),
    }
    if (chance > SENT_AGAIN) return [order]
    const later = random.next() < 0.7 ? SOON : LONG
    return [order, { ...order, at: index + Math.ceil(later * random.next()) }]
  })
  return inOrderOfArrival(all.flat(), count)
}

function noOrder(customer: string, chance: number): string {
  if (chance < 0.4) return 'order of unknown'
  return chance < 0.7
    ? JSON.stringify({ customer, number: 'one', cents: 100, placedAt: FIRST_PLACED_AT })
    : JSON.stringify({ customer, cents: 100, placedAt: FIRST_PLACED_AT })
}
