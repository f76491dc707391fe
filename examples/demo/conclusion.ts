/** What a demo ends with: what the reader saw, what DuckDB found, and by which SQL. */
import type { Proof, Proven } from '../claims.ts'
import { grouped, seconds, type Paint } from './paint.ts'
import { CLAIMS } from './proof.ts'
import type { ReaderReport } from './reader-line.ts'
import { recoveryMsOf, type Timeline } from './timeline.ts'

export interface Facts {
  readonly timeline: Timeline
  readonly report: ReaderReport
  readonly proof: Proof
  readonly paint: Paint
}

const MOST_WRONGS = 10
/** The one that is printed in full. */
const SHOWN = 'running totals = a window over the input'

export function conclusionOf(facts: Facts): readonly string[] {
  return [...readerLines(facts), '', ...proofLines(facts), '', ...verdictLines(facts)]
}

export function isProven({ timeline, proof }: Pick<Facts, 'timeline' | 'proof'>): boolean {
  return timeline.wrongs.length === 0 && proof.claims.every(({ wrong }) => wrong === 0)
}

function readerLines({ timeline, report, paint }: Facts): readonly string[] {
  const { wrongs, visible } = timeline
  const looks = `${grouped(report.looks)} looks, at most ${Math.round(report.longestPauseMs)} ms apart`
  const title = `${paint.strong('What the reader saw')}  ${paint.faint(looks)}`
  if (wrongs.length > 0) {
    const more = wrongs.length - MOST_WRONGS
    const listed = wrongs.slice(0, MOST_WRONGS).map((text) => `  ${paint.bad('✗')} ${text}`)
    return [title, ...listed, ...(more > 0 ? [`    and ${grouped(more)} more`] : [])]
  }
  const good = [
    `${grouped(visible.files)} files, none before the checkpoint that confirmed it had completed`,
    'none vanished, none was changed, nothing hidden is left',
    `${grouped(visible.enriched)} orders and ${grouped(visible.totals)} totals, none twice, those of each customer in order`,
  ]
  return [title, ...good.map((text) => `  ${paint.good('✓')} ${text}`)]
}

function proofLines({ proof, paint }: Facts): readonly string[] {
  const widest = Math.max(...proof.claims.map(({ text }) => text.length))
  const row = ({ text, compared, wrong }: Proven): string =>
    `  ${wrong === 0 ? paint.good('✓') : paint.bad('✗')} ${text.padEnd(widest)}${grouped(compared).padStart(12)}` +
    `${(wrong === 0 ? paint.good : paint.bad)(grouped(wrong).padStart(9))}`
  const examples = proof.claims.flatMap(({ example }) =>
    example === undefined ? [] : [`  ${paint.bad('✗')} ${example}`],
  )
  const sql = CLAIMS.find(({ text }) => text === SHOWN)?.sql.split('\n') ?? []
  return [
    `${paint.strong(`What DuckDB ${proof.version} found`)}  ${paint.faint('SQL over the input file and the visible files, nothing else')}`,
    paint.faint(`    ${''.padEnd(widest)}${'compared'.padStart(12)}${'wrong'.padStart(9)}`),
    ...proof.claims.map(row),
    ...examples,
    '',
    paint.faint('  The third of them (all are in examples/demo/proof.ts):'),
    ...sql.map((line) => paint.faint(`    ${line}`)),
  ]
}

function verdictLines(facts: Facts): readonly string[] {
  const { timeline, proof, paint } = facts
  const kills = timeline.lives.filter(({ over }) => over?.how === 'killed').length
  if (!isProven(facts)) {
    const broken = proof.claims.filter(({ wrong }) => wrong > 0).length
    const why = timeline.sabotage === undefined ? '' : ` Done behind the job's back: ${timeline.sabotage}`
    return [
      paint.bad(`WRONG: found by the reader: ${timeline.wrongs.length}; claims that do not hold: ${broken}.${why}`),
    ]
  }
  const recoveries = timeline.lives.slice(1).flatMap((life) => recoveryMsOf(life) ?? [])
  const recovery =
    recoveries.length === 0
      ? ''
      : ` New output was visible again ${seconds(Math.min(...recoveries))} to ${seconds(Math.max(...recoveries))} after a start.`
  const { enriched, totals } = timeline.visible
  return [
    `${paint.faint(`${grouped(timeline.checkpoints)} checkpoints in ${timeline.lives.length} lives.${recovery}`)}`,
    paint.good(
      `PROVEN: killed ${kills} times, and each of ${grouped(enriched)} orders and ${grouped(totals)} running totals came out exactly once, ` +
        'in order, none before its checkpoint.',
    ),
  ]
}
