/** What integration tests ask for: the broker that all files of a run share, and names that no other test has. */
import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'

/** The address of the shared broker. Nobody ends it: a test that kills its broker starts one of its own (`KafkaBroker.start`). */
export async function sharedKafka(): Promise<string> {
  const response = await fetch(`${inject('servicesUrl')}/kafka`)
  const text = await response.text()
  if (response.ok) return text
  throw new Error(`${text}\nTo leave tests that need a service out: SLUICE_INTEGRATION=0 npm test`)
}

/** For topics, groups and transactional ids: the shared broker keeps those of all tests. */
export function uniqueName(what: string): string {
  return `${what}-${randomBytes(6).toString('hex')}`
}
