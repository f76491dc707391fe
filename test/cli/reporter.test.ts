/** What a run tells on a terminal, in a log file and to programs. */
import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { jsonReporter, textReporter, type Reporter, type TerminalEnvironment } from '../../cli/reporter.ts'
import { TerminalError } from '../../engine/index.ts'
import { screen, withoutColors } from './screen.ts'
import type { Progress } from '../../engine/coordinator/progress.ts'
import type { RunEvent } from '../../engine/coordinator/run-job.ts'

function completed(checkpoint: number): RunEvent {
  const split = { split: { id: 'a.ndjson' }, position: { byte: 7 }, ended: false }
  const operators = [{ operator: 'in', subtask: 0, parallelism: 1, ended: false, splits: [split] }]
  const manifest = {
    format: 1,
    job: 'j',
    lineage: 'l',
    generation: 1,
    checkpoint,
    maxParallelism: 128,
    operators,
  } as const
  return { kind: 'completed', checkpoint, manifest, durationMs: 12.3, alignedMs: 4.5 }
}

function progress(change: Partial<Progress> = {}): RunEvent {
  const facts: Progress = {
    state: 'RUNNING',
    generation: 1,
    uptimeMs: 83_400,
    restarts: 0,
    sources: [{ operator: 'in', read: 1_234_567, readPerSecond: 12_345, skipped: 0, confirmed: 1_200_000 }],
    sinks: [{ operator: 'out', written: 99_999, writtenPerSecond: 999, visible: 98_000, eventLagMs: null }],
    checkpoints: {
      completed: 41,
      notCompleted: 0,
      uncommitted: 0,
      last: { checkpoint: 41, durationMs: 35, alignedMs: 3, stateBytes: 4096, sinceMs: 420 },
    },
    commits: { committed: 41, alreadyCommitted: 0, retried: 0, aborted: 0 },
    visible: { checkpoint: 41, lagMs: 950 },
    figures: [],
  }
  return { kind: 'progress', progress: { ...facts, ...change } }
}

const FULL =
  'running 1m 23s · read 12,345/s, 1.23M · wrote 999/s, 99,999 · checkpoint 41 (35 ms, 420 ms ago) · visible lag 950 ms'
const PLAIN = { NO_COLOR: '1', TERM: 'xterm' }

interface Played {
  /** Each write, in order. */
  readonly writes: string[]
  readonly reporter: Reporter
  readonly passMs: (ms: number) => void
  readonly resize: (columns: number) => void
}

function play(isTTY: boolean, environment: TerminalEnvironment = PLAIN): Played {
  const writes: string[] = []
  let nowMs = 0
  const output = { isTTY, columns: 200, write: (text: string) => writes.push(text) }
  return {
    writes,
    reporter: textReporter(output, environment, () => nowMs),
    passMs: (ms) => (nowMs += ms),
    resize: (columns) => (output.columns = columns),
  }
}

function texts(isTTY: boolean, use: (reporter: Reporter, passMs: (ms: number) => void) => void): string {
  const { writes, reporter, passMs } = play(isTTY)
  use(reporter, passMs)
  return writes.join('')
}

test('on a terminal progress is one line that is rewritten, with what is printed above it', () => {
  const { writes, reporter, passMs } = play(true)
  reporter.event({ kind: 'running', generation: 1, restored: null })
  reporter.event(progress())
  expect(screen(writes.join(''))).toEqual(['running, generation 1', FULL])
  passMs(1_000)
  reporter.event(progress({ uptimeMs: 84_400, visible: { checkpoint: 41, lagMs: 9 } }))
  const newer = FULL.replace('1m 23s', '1m 24s').replace('950 ms', '9 ms')
  expect(screen(writes.join(''))).toEqual(['running, generation 1', newer])
  reporter.logger.warn('slow')
  expect(screen(writes.join(''))).toEqual(['running, generation 1', expect.stringMatching(/ WARN {2}slow$/), newer])
  passMs(1_000)
  reporter.event(completed(42))
  expect(screen(writes.join('')).at(-1)).toBe(newer.replace('41 (35 ms, 420 ms ago)', '42 (12 ms, 0 ms ago)'))
  reporter.event(progress())
  reporter.ended({ state: 'STOPPED' })
  expect(screen(writes.join('')).slice(2)).toEqual([
    'read 1.23M records, wrote 99,999, 41 checkpoints, in 1m 23s',
    'stopped; run again to go on',
    '',
  ])
})

test('the line is rewritten at most four times a second, each time in one write that needs no erasing before', () => {
  const { writes, reporter, passMs } = play(true)
  for (let index = 0; index < 100; index += 1) {
    reporter.event(progress({ uptimeMs: index }))
    passMs(20)
  }
  expect(writes).toHaveLength(8)
  for (const one of writes) expect(withoutColors(one)).toMatch(/^\r[^\r\n\u2421]+\u2421$/)
})

test('the line fits: what says least goes first, and it follows the terminal when that is made wider or narrower', () => {
  const { writes, reporter, passMs, resize } = play(true)
  const line = (columns: number, change: Partial<Progress> = {}): string => {
    passMs(1_000)
    resize(columns)
    reporter.event(progress(change))
    return screen(writes.join('')).at(-1) ?? ''
  }
  expect(line(FULL.length + 1)).toBe(FULL)
  const withoutCheckpoint = 'running 1m 23s · read 12,345/s, 1.23M · wrote 999/s, 99,999 · visible lag 950 ms'
  expect(line(FULL.length)).toBe(withoutCheckpoint)
  expect(line(60)).toBe('running 1m 23s · read 12,345/s, 1.23M · visible lag 950 ms')
  expect(line(40)).toBe('running 1m 23s · visible lag 950 ms')
  expect(line(20)).toBe('running 1m 23s')
  expect(line(10)).toBe('running …')
  // A terminal that does not know.
  expect(line(0)).toBe('running 1m 23s · read 12,345/s, 1.23M · visible lag 950 ms')
  const troubled = { restarts: 2, checkpoints: { completed: 0, notCompleted: 0, uncommitted: 2, last: null } }
  expect(line(300, { ...troubled, visible: { checkpoint: null, lagMs: null } })).toBe(
    'running 1m 23s · read 12,345/s, 1.23M · wrote 999/s, 99,999 · nothing visible yet · 2 checkpoints uncommitted · 2 restarts',
  )
})

test('colors are for terminals that want them, and rewriting for those that can', () => {
  const written = (isTTY: boolean, environment: TerminalEnvironment): string => {
    const { writes, reporter } = play(isTTY, environment)
    reporter.event(progress())
    return writes.join('')
  }
  expect(written(true, { TERM: 'xterm' })).toContain('\u001b[32mrunning 1m 23s\u001b[0m')
  expect(written(true, { TERM: 'xterm', NO_COLOR: '' })).toContain('\u001b[32m')
  expect(written(true, { TERM: 'xterm', NO_COLOR: '1' })).toBe(`\r${FULL}\u001b[K`)
  expect(written(true, { TERM: 'dumb' })).toBe('')
  expect(written(false, { TERM: 'xterm' })).toBe('')
})

test('without a terminal there is a sign of life every ten seconds, and none of it can be mistaken for a control code', () => {
  const written = texts(false, (reporter, passMs) => {
    for (let second = 1; second <= 25; second += 1) {
      passMs(1_000)
      reporter.event(completed(second))
      reporter.event(progress({ uptimeMs: second * 1_000 }))
    }
  })
  expect(written).toBe(`${FULL.replace('1m 23s', '10.0 s')}\n${FULL.replace('1m 23s', '20.0 s')}\n`)
})

test('a failure shows where the user code threw', () => {
  const cause = new RangeError('too far')
  const written = texts(false, (reporter) => {
    reporter.ended({
      state: 'FAILED',
      reason: 'operator "x" failed: too far',
      cause: new TerminalError('x', { cause }),
    })
    reporter.refused(new TerminalError('no such setting'), 2)
  })
  expect(written).toMatch(/^FAILED: operator "x" failed: too far\nRangeError: too far\n\s+at .*reporter\.test\.ts/)
  expect(written).toMatch(/sluice: no such setting\n$/)
})

test('a failed system call is told in one line, not by where we made it', async () => {
  const cause: unknown = await stat('there/is/nothing').catch((error: unknown) => error)
  const refusal = new TerminalError('cannot read there/is/nothing', { cause })
  expect(texts(false, (reporter) => reporter.refused(refusal, 2))).toBe('sluice: cannot read there/is/nothing\n')
})

test('programs are told times as text, also of what a restore repeats', () => {
  const lines: unknown[] = []
  const reporter = jsonReporter((line) => lines.push(JSON.parse(line)))
  const to = { checkpoint: 41, at: Date.UTC(2026, 0, 2) }
  reporter.event({ kind: 'restoring', from: { kind: 'nothing' }, repeats: { from: null, to, splits: [], sinks: [] } })
  const repeats = { from: null, to: { checkpoint: 41, at: '2026-01-02T00:00:00.000Z' }, splits: [], sinks: [] }
  expect(lines).toEqual([{ event: 'restoring', from: { kind: 'nothing' }, repeats }])
})

test('programs are told everything as JSON', () => {
  const lines: unknown[] = []
  const reporter = jsonReporter((line) => lines.push(JSON.parse(line)))
  reporter.event({ kind: 'settings', reused: { a: 'b' }, changed: { c: { before: 'd', now: 'e' } } })
  reporter.event({ kind: 'restarting', restarts: 1, delayMs: 99.6, failure: new Error('lost') })
  reporter.event(completed(3))
  reporter.event(progress())
  reporter.ended({ state: 'FAILED', reason: 'gone', cause: undefined })
  reporter.refused(new Error('broken'), 1)
  expect(lines).toEqual([
    { event: 'settings', reused: { a: 'b' }, changed: { c: { before: 'd', now: 'e' } } },
    { event: 'restarting', restarts: 1, delayMs: 100, failure: 'lost' },
    {
      event: 'completed',
      checkpoint: 3,
      durationMs: 12,
      alignedMs: 5,
      sourcePositions: [{ operator: 'in', split: 'a.ndjson', position: { byte: 7 }, ended: false }],
    },
    {
      event: 'progress',
      state: 'RUNNING',
      generation: 1,
      uptimeMs: 83_400,
      restarts: 0,
      sources: [{ operator: 'in', read: 1_234_567, readPerSecond: 12_345, skipped: 0, confirmed: 1_200_000 }],
      sinks: [{ operator: 'out', written: 99_999, writtenPerSecond: 999, visible: 98_000, eventLagMs: null }],
      checkpoints: {
        completed: 41,
        notCompleted: 0,
        uncommitted: 0,
        last: { checkpoint: 41, durationMs: 35, alignedMs: 3, stateBytes: 4096, sinceMs: 420 },
      },
      commits: { committed: 41, alreadyCommitted: 0, retried: 0, aborted: 0 },
      visible: { checkpoint: 41, lagMs: 950 },
      figures: [],
    },
    { event: 'ended', state: 'FAILED', reason: 'gone' },
    { event: 'broken-off', exitCode: 1, error: 'broken' },
  ])
})
