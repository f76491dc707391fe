import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CODES, describeCode, errorOfCode, nextStep } from '../../../clients/kafka/error-table.ts'

interface Vector {
  readonly code: number
  readonly name: string
  readonly isRetried: boolean
  readonly refreshes: boolean
}

const vectors = JSON.parse(readFileSync(new URL('vectors/errors.json', import.meta.url), 'utf8')) as readonly Vector[]
const known = vectors.filter(({ code }) => errorOfCode(code).name !== 'error')

test('codes have the names that Kafka gives them', () => {
  expect(known.length).toBeGreaterThan(60)
  for (const { code, name } of known) expect(errorOfCode(code).name).toBe(name)
  for (const [name, code] of Object.entries(CODES)) expect(errorOfCode(code).name).toBe(name)
})

describe('what the Java client does about a code is done here too', () => {
  const again = ['retry', 'refresh-metadata', 'refresh-coordinator']
  /** Where we differ, and why. */
  const otherwise: Readonly<Record<string, string>> = {
    REBALANCE_IN_PROGRESS: 'we are no member of a group: its rebalance ends by itself',
    BROKER_NOT_AVAILABLE: 'another broker may be there by now',
    TRANSACTION_COORDINATOR_FENCED: 'another broker is the coordinator by now',
    OPERATION_NOT_ATTEMPTED: 'another partition of the request failed; its code says why',
    OFFSET_MOVED_TO_TIERED_STORAGE: 'for replicas only',
    REBOOTSTRAP_REQUIRED: 'the Java client does it in another place',
  }

  test.each(known.map((vector) => [vector.name, vector] as const))('%s', (name, { code, isRetried, refreshes }) => {
    const isOurs = again.includes(nextStep(code))
    expect(isOurs).toBe(otherwise[name] === undefined ? isRetried : !isRetried)
    const refreshed = otherwise[name] === undefined && refreshes
    expect([!refreshed, nextStep(code).startsWith('refresh')]).toContain(true)
  })
})

test('a code that nobody knows yet is not asked again, and is told by its number', () => {
  expect(nextStep(4_711)).toBe('fatal')
  expect(describeCode(4_711)).toBe('error (4711)')
  expect(describeCode(CODES.CONCURRENT_TRANSACTIONS)).toBe('CONCURRENT_TRANSACTIONS (51)')
})
