/** What a run tells on a terminal, in a log file and to programs. */
import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { jsonReporter, textReporter, type Reporter } from '../../cli/reporter.ts'
import { TerminalError } from '../../engine/index.ts'
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

function texts(isTTY: boolean, use: (reporter: Reporter, passMs: (ms: number) => void) => void): string {
  let written = ''
  let nowMs = 0
  const output = { isTTY, write: (text: string) => (written += text) }
  use(
    textReporter(output, () => nowMs),
    (ms) => (nowMs += ms),
  )
  return written
}

test('on a terminal progress is one line that later lines replace', () => {
  const written = texts(true, (reporter) => {
    reporter.event(completed(1))
    reporter.event(completed(2))
    reporter.logger.warn('slow')
    reporter.ended({ state: 'FINISHED' })
  })
  const erase = '\r\u001b[K'
  const line = (checkpoint: number): string => `${erase}checkpoint ${checkpoint} completed, a.ndjson at {"byte":7}`
  expect(written.startsWith(`${line(1)}${line(2)}${erase}`)).toBe(true)
  expect(written).toMatch(/WARN {2}slow\nfinished\n$/)
})

test('without a terminal there is a sign of life every ten seconds', () => {
  const written = texts(false, (reporter, passMs) => {
    for (let checkpoint = 1; checkpoint <= 25; checkpoint += 1) {
      passMs(1_000)
      reporter.event(completed(checkpoint))
    }
  })
  expect(written.match(/checkpoint \d+/g)).toEqual(['checkpoint 10', 'checkpoint 20'])
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

test('programs are told everything as JSON', () => {
  const lines: unknown[] = []
  const reporter = jsonReporter((line) => lines.push(JSON.parse(line)))
  reporter.event({ kind: 'settings', reused: { a: 'b' }, changed: { c: { before: 'd', now: 'e' } } })
  reporter.event({ kind: 'restarting', restarts: 1, delayMs: 99.6, failure: new Error('lost') })
  reporter.event(completed(3))
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
    { event: 'ended', state: 'FAILED', reason: 'gone' },
    { event: 'broken-off', exitCode: 1, error: 'broken' },
  ])
})
