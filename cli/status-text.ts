/**
 * The status of a job as people read it: what matters first, one thing a line.
 */
import type { JobStatus } from '../engine/coordinator/status.ts'
import { bytesText, countText, durationText, pluralText } from './amounts.ts'
import type { ShownStatus } from './status.ts'

const LABEL_WIDTH = 14

export function statusText(found: ShownStatus, nowMs: number): string {
  return [
    `${found.job}: ${found.state}, ${lifeOf(found)}`,
    line('generation', `${found.generation}, ${pluralText(found.restarts, 'restart')}, lineage ${found.lineage}`),
    line('parallelism', String(found.parallelism)),
    line('visible', visibleOf(found, nowMs)),
    ...lines('records', recordsOf(found)),
    line('checkpoint', checkpointOf(found)),
    line('retained', retainedOf(found)),
    ...lines('due', dueOf(found)),
    ...lines('positions', positionsOf(found)),
    ...lines('left behind', leftOf(found)),
    ...lines(
      'settings',
      Object.entries(found.settings).map(([name, value]) => `${name} = ${value}`),
    ),
    line('code', codeOf(found)),
    ...lines('failure', found.failure === undefined ? [] : found.failure.split('\n')),
    ...lines(
      'failed before',
      found.failures.map(({ at, generation, message }) => `${at} generation ${generation}: ${firstLineOf(message)}`),
    ),
  ].join('\n')
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${text}`
}

function lines(label: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, index) => line(index === 0 ? label : '', text))
}

function lifeOf({ alive, holder, at }: JobStatus): string {
  const who = `process ${holder.pid} on ${holder.host}`
  if (alive === true) return `${who} runs it`
  if (alive === false) return `no process runs it (the last one was ${who})`
  return `whether ${who} still runs it cannot be seen from here; it wrote to the log at ${at}`
}

function visibleOf({ visible, state, committedThrough }: JobStatus, nowMs: number): string {
  const { checkpoint, triggeredAt } = visible
  if (checkpoint === null || triggeredAt === null)
    return committedThrough === 0 ? 'nothing yet' : `through checkpoint ${committedThrough}`
  if (state === 'FINISHED') return `through checkpoint ${checkpoint}: all there is`
  return `through checkpoint ${checkpoint}, lag ${durationText(nowMs - Date.parse(triggeredAt))}`
}

function recordsOf({ records }: JobStatus): readonly string[] {
  const texts = (of: Readonly<Record<string, number>>): readonly string[] =>
    Object.entries(of).map(([operator, count]) => `${countText(count)} (${operator})`)
  return [
    ...texts(records.read).map((text) => `read ${text}`),
    ...texts(records.visible).map((text) => `visible ${text}`),
  ]
}

function checkpointOf({ lastCompleted }: JobStatus): string {
  return lastCompleted === null ? 'none' : `${lastCompleted.checkpoint}, completed at ${lastCompleted.at}`
}

function retainedOf({ retained }: JobStatus): string {
  if (retained.length === 0) return 'none'
  const texts = retained.map(({ checkpoint, final, stateBytes }) => {
    const size = stateBytes === null ? 'cannot be read' : `${bytesText(stateBytes)} of state`
    return `${checkpoint}${final ? ', the final one' : ''} (${size})`
  })
  return texts.join(', ')
}

function dueOf({ due }: JobStatus): readonly string[] {
  return due.map(({ checkpoint, commits }) => {
    if (commits === null) return `checkpoint ${checkpoint}: its commits cannot be read`
    const sinks = Object.entries(commits).map(([sink, count]) => `${pluralText(count, 'commit')} of ${sink}`)
    return `checkpoint ${checkpoint}: ${sinks.length === 0 ? 'nothing to commit' : sinks.join(', ')}`
  })
}

/** As many splits as fit on a screen. */
const MOST_POSITIONS = 20

function positionsOf({ lastCompleted }: JobStatus): readonly string[] {
  const positions = lastCompleted?.sourcePositions ?? []
  const shown = positions
    .slice(0, MOST_POSITIONS)
    .map(
      ({ operator, split, position, ended }) =>
        `${operator} ${split}: ${ended ? 'ended' : (JSON.stringify(position) ?? 'none')}`,
    )
  return positions.length <= MOST_POSITIONS
    ? shown
    : [...shown, `and ${positions.length - MOST_POSITIONS} more, with --json`]
}

/** What a running generation has open is its own. */
function leftOf({ unclean, alive, generation: running }: JobStatus): readonly string[] {
  return unclean
    .filter(({ since }) => alive === false || since < running)
    .map(({ operator, since, generation }) => {
      const which = since === generation ? `generation ${generation}` : `generations ${since} to ${generation}`
      return `hidden output of ${operator}, ${which}: the next start takes it away`
    })
}

function codeOf({ codeIdentity, jobFile }: ShownStatus): string {
  if (jobFile === undefined) return codeIdentity
  return jobFile.isSame
    ? `${codeIdentity}, as the job file is now`
    : `${codeIdentity}; the job file is ${jobFile.codeIdentity} now: it was changed since the run began`
}

function firstLineOf(message: string): string {
  return message.split('\n', 1)[0] ?? ''
}
