/**
 * The reader as a process of its own: looks at the output every few milliseconds until its input ends, and says what it saw as JSON
 * lines. Argument: the directory in which the job runs. Input: a line `look` is answered when a whole look has been made since; a line
 * `finish` by the last look and a report.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { CheckpointLog } from './checkpoint-log.ts'
import { Reader, type Look } from './reader.ts'
import type { ReaderLine } from './reader-line.ts'

const PAUSE_MS = 4

const directory = process.argv[2] ?? '.'
const reader = new Reader(join(directory, 'out'), new CheckpointLog(join(directory, '.sluice'), 'orders'))
let looks = 0
let longestPauseMs = 0
let lastLookMs: number | undefined
let isOver = false

createInterface({ input: process.stdin })
  .on('line', (command) => {
    if (command !== 'finish') return take(() => reader.look(), 'looked')
    isOver = true
    return take(() => reader.finish(), 'report')
  })
  .on('close', () => process.exit())

while (!isOver) {
  take(() => reader.look())
  await pause(PAUSE_MS)
}

function take(look: () => Look, answer?: 'looked' | 'report'): void {
  const nowMs = performance.now()
  if (lastLookMs !== undefined) longestPauseMs = Math.max(longestPauseMs, nowMs - lastLookMs)
  lastLookMs = nowMs
  looks += 1
  const atMs = performance.timeOrigin + nowMs
  const { seen, wrong } = look()
  for (const one of seen) say({ kind: 'seen', atMs, ...one })
  for (const text of wrong) say({ kind: 'wrong', atMs, text })
  if (answer !== undefined) say({ kind: answer, looks, longestPauseMs, atMs })
}

function say(line: ReaderLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
