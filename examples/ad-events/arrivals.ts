/**
 * Impressions and clicks as phones send them: some more than once, clicks before their impressions, some far too late, and clicks on what was
 * never shown.
 */
import { SeededRandom } from '../../sources/generator/seeded-random.ts'
import { inOrderOfArrival, type Arrival } from '../kafka-trial/example.ts'

const ADS = 40
const FIRST_AT = Date.UTC(2026, 0, 1)
const SPAN_MS = 60 * 60_000

const CLICKED = 0.2
const CLICKED_WITHIN_MS = 90_000
const SENT_AGAIN = 0.08
const SENT_AGAIN_WITHIN_MS = 240_000
/** Its impression is still on the phone when the click arrives. */
const HELD_BACK = 0.1
const HELD_BACK_MS = 120_000
const OFFLINE = 0.01
const OFFLINE_MS = 20 * 60_000
const NEVER_SHOWN = 0.003
/** Events that come of an impression, on average, at least. */
const PER_IMPRESSION = 1.25

interface Sent {
  /** When it reaches Kafka. */
  readonly at: number
  readonly key: string
  readonly value: string
}

export function adEventArrivals(seed: number, count: number): readonly Arrival[] {
  const random = new SeededRandom(seed)
  const stepMs = (SPAN_MS * PER_IMPRESSION) / count
  const all = Array.from({ length: count }, (_, index) => sentOf(random.restartAt(index), index, stepMs))
  return inOrderOfArrival(all.flat(), count)
}

/** What becomes of one impression. */
function sentOf(random: SeededRandom, index: number, stepMs: number): readonly Sent[] {
  // A few ads are shown often, most are not.
  const ad = `ad-${Math.floor(ADS * random.next() ** 2)}`
  const shownAt = Math.floor(FIRST_AT + index * stepMs)
  const id = `i-${index}`
  const costMicros = 500 + Math.floor(2_000 * random.next())
  const impression = { kind: 'impression', id, ad, at: shownAt, costMicros } as const
  const isHeldBack = random.next() < HELD_BACK
  const sent = sendings(random, impression, isHeldBack ? HELD_BACK_MS * random.next() : 0)
  if (random.next() >= CLICKED) return sent
  const at = Math.floor(shownAt + CLICKED_WITHIN_MS * random.next())
  const on = random.next() < NEVER_SHOWN ? `${id}-never` : id
  const click = { kind: 'click', id: `k-${index}`, ad, at, impression: on } as const
  return [...sent, ...sendings(random, click, 0)]
}

interface Event {
  readonly kind: 'impression' | 'click'
  readonly id: string
  readonly ad: string
  readonly at: number
}

/** Once or more. */
function sendings(random: SeededRandom, event: Event, delayMs: number): readonly Sent[] {
  const isOffline = random.next() < OFFLINE
  const first = {
    at: event.at + (isOffline ? OFFLINE_MS * random.next() : delayMs),
    key: event.ad,
    value: JSON.stringify(event),
  }
  if (random.next() >= SENT_AGAIN) return [first]
  return [first, { ...first, at: first.at + SENT_AGAIN_WITHIN_MS * random.next() }]
}
