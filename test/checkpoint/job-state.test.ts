import { expect, test } from 'vitest'
import { jobStateOf, type JobState } from '../../engine/checkpoint/job-state.ts'
import type { EndState, Phase } from '../../engine/checkpoint/log-entry.ts'
import { sampleEntry, sampleRetained } from './samples.ts'

const phases: Record<Phase, JobState> = {
  starting: 'STARTING',
  restarting: 'RESTARTING',
  running: 'RUNNING',
  stopping: 'STOPPING',
}

test('every kind of entry but an ending says what the process was doing', () => {
  for (const kind of ['started', 'completed', 'committed', 'alive'] as const) {
    for (const [phase, state] of Object.entries(phases) as [Phase, JobState][]) {
      expect(jobStateOf(sampleEntry({ kind, phase }))).toBe(state)
    }
  }
})

test('a running job with a final checkpoint is stopping: only commits are left', () => {
  const retained = [sampleRetained(2, { final: true })]
  expect(jobStateOf(sampleEntry({ kind: 'completed', phase: 'running', retained }))).toBe('STOPPING')
  expect(jobStateOf(sampleEntry({ phase: 'starting', retained }))).toBe('STARTING')
})

test('an ending says how the job ended, whatever the process was doing', () => {
  for (const state of ['FINISHED', 'STOPPED', 'CANCELED', 'FAILED'] satisfies EndState[]) {
    expect(jobStateOf(sampleEntry({ kind: 'ended', phase: 'stopping', end: { state } }))).toBe(state)
  }
})

test('entries of older releases, which name no phase, are understood', () => {
  expect(jobStateOf(sampleEntry())).toBe('STARTING')
  expect(jobStateOf(sampleEntry({ restarts: 2 }))).toBe('RESTARTING')
  expect(jobStateOf(sampleEntry({ kind: 'alive', restarts: 2 }))).toBe('RUNNING')
  expect(jobStateOf(sampleEntry({ kind: 'completed', retained: [sampleRetained(1, { final: true })] }))).toBe(
    'STOPPING',
  )
})
