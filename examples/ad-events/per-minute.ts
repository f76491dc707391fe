/**
 * Counts each impression and each click of an ad once, in the minute of the impression. What is known of an ad is kept for `OPEN_MINUTES`
 * behind its newest event, so that state does not grow with time; what comes later is not counted, and told.
 */
import { map, sideOutput, type, value, type ProcessContext } from 'sluice'
import type { AdEvent, Click, Impression } from './ad-event.ts'

/** Of one ad and minute. The row with the highest revision is the true one. */
export interface AdMinute {
  readonly ad: string
  /** Its start, milliseconds since 1970. */
  readonly minute: number
  readonly impressions: number
  readonly clicks: number
  readonly costMicros: number
  /** 1, 2, 3, …: for stores that compare rows of one key. */
  readonly revision: number
}

export interface Uncounted {
  /** `no-impression`: a click whose impression did not come while the minute of the click was open. */
  readonly reason: 'late' | 'no-impression'
  readonly event: AdEvent
}

export const uncounted = sideOutput<Uncounted>('uncounted')

const MINUTE_MS = 60_000
const OPEN_MINUTES = 10

/** Of each ad. */
const state = {
  /** Start of the newest minute. */
  newest: value(() => 0),
  /** Minute of each impression and of each click, by its id. */
  impressions: map<string, number>(),
  clicks: map<string, number>(),
  /** Clicks that came before their impression, by its id. */
  early: map<string, readonly Click[]>(),
  /** By minute. */
  rows: map<number, AdMinute>(),
}

type Context = ProcessContext<string, AdMinute, typeof state>

export const perMinute = {
  state,
  emits: type<AdMinute>(),
  onRecord(event: AdEvent, context: Context): void {
    const { newest } = context.state
    const minute = minuteOf(event)
    if (minute > newest.get()) {
      newest.set(minute)
      forget(context, oldestOpen(minute))
    }
    if (minute < oldestOpen(newest.get())) context.emitTo(uncounted, { reason: 'late', event })
    else if (event.kind === 'impression') onImpression(event, context)
    else onClick(event, context)
  },
}

function onImpression({ id, at, costMicros }: Impression, context: Context): void {
  const { impressions, early } = context.state
  if (impressions.has(id)) return
  const minute = minuteOf({ at })
  impressions.set(id, minute)
  const clicks = early.get(id)?.length ?? 0
  early.delete(id)
  add(context, minute, { impressions: 1, clicks, costMicros })
}

function onClick(click: Click, context: Context): void {
  const { impressions, clicks, early } = context.state
  if (clicks.has(click.id)) return
  clicks.set(click.id, minuteOf(click))
  const shownIn = impressions.get(click.impression)
  if (shownIn === undefined) early.set(click.impression, [...(early.get(click.impression) ?? []), click])
  else add(context, shownIn, { impressions: 0, clicks: 1, costMicros: 0 })
}

function add(
  { state: { rows }, key: ad, emit }: Context,
  minute: number,
  more: Pick<AdMinute, 'impressions' | 'clicks' | 'costMicros'>,
): void {
  const before = rows.get(minute) ?? { impressions: 0, clicks: 0, costMicros: 0, revision: 0 }
  const row = {
    ad,
    minute,
    impressions: before.impressions + more.impressions,
    clicks: before.clicks + more.clicks,
    costMicros: before.costMicros + more.costMicros,
    revision: before.revision + 1,
  }
  rows.set(minute, row)
  emit(row)
}

/** All that is older. There are no timers: it happens when the next minute of this ad begins, and for an ad that has ended never. */
function forget({ state: { impressions, clicks, rows, early }, emitTo }: Context, oldest: number): void {
  for (const [id, minute] of impressions.entries()) if (minute < oldest) impressions.delete(id)
  for (const [id, minute] of clicks.entries()) if (minute < oldest) clicks.delete(id)
  for (const [minute] of rows.entries()) if (minute < oldest) rows.delete(minute)
  for (const [impression, waiting] of early.entries()) {
    const open = waiting.filter((click) => minuteOf(click) >= oldest)
    if (open.length === waiting.length) continue
    for (const event of waiting) if (minuteOf(event) < oldest) emitTo(uncounted, { reason: 'no-impression', event })
    if (open.length === 0) early.delete(impression)
    else early.set(impression, open)
  }
}

function minuteOf({ at }: Pick<AdEvent, 'at'>): number {
  return at - (at % MINUTE_MS)
}

function oldestOpen(newest: number): number {
  return newest - OPEN_MINUTES * MINUTE_MS
}
