/** A job with one seeded mistake, killed where it hurts: the checks of the kill tests must find it. A checker that never failed proves nothing. */
import { expect, test } from 'vitest'
import { Consumer } from './consumer.ts'
import { Arena, LOG, REPLAY, tell, type Strike } from './harness.ts'
import { MISTAKES, type Mistake } from './mistakes.ts'

interface Case {
  readonly strikes: readonly Strike[]
  /** The strike kills; otherwise it fails a call. */
  readonly isKilled: boolean
  readonly finds: RegExp
}

const entry = `link ${LOG}/`
const killed = (match: string, nth: number, moment: 'before' | 'after', finds: RegExp): Case => ({
  strikes: [{ match, nth, moment, how: 'KILL' }],
  isKilled: true,
  finds,
})

const cases: Readonly<Record<Mistake, Case>> = {
  'commit before completion': killed(entry, 6, 'before', /visible of \d+ completed/),
  'abort instead of commit at recovery': killed(entry, 6, 'after', /deep-equal|visible of/),
  'no commit at recovery': killed(entry, 6, 'after', /deep-equal|visible of/),
  'leftovers not aborted': killed('link counts/.*keep', 5, 'after', /\.part/),
  'swallowed commit error': {
    strikes: [{ match: 'rename evens/part', nth: 4, moment: 'before', how: 'EIO' }],
    isKilled: false,
    finds: /deep-equal|visible of/,
  },
  'evidence pruned too early': killed('unlink counts/.*keep', 5, 'after', /is gone and so is its second link/),
  'names without the generation': killed('link counts/.*keep', 5, 'after', /deep-equal|EEXIST/),
  'sweep by list': killed(entry, 6, 'after', /is gone and so is its second link|deep-equal/),
  'position off by one': killed(entry, 6, 'after', /deep-equal/),
  'positions asked from the reader': killed(entry, 6, 'after', /deep-equal/),
}

let fired = 0

async function live(mistake: Mistake | undefined, { strikes, isKilled }: Case): Promise<string> {
  using arena = new Arena()
  using consumer = mistake === 'evidence pruned too early' ? new Consumer(arena) : undefined
  const settings = mistake === undefined ? {} : { MISTAKE: mistake }
  const first = arena.start({ strikes, settings })
  try {
    await first.expectCode(isKilled ? null : 0)
    if (mistake !== undefined) fired += first.struck.length
    if (consumer === undefined) arena.expectPrefix()
    await arena.run(0, { settings: { ...REPLAY, ...settings } })
    if (consumer === undefined) arena.expectComplete()
    else consumer.expectComplete()
    return 'nothing'
  } catch (error) {
    return String(error)
  }
}

test.each(MISTAKES)('the checks find: %s', async (mistake) => {
  expect(await live(mistake, cases[mistake])).toMatch(cases[mistake].finds)
})

test('the checks find nothing in the same runs without a mistake', async () => {
  // Its place, the second removal of a file in an epoch, is not there without the mistake.
  const sound = MISTAKES.filter((mistake) => mistake !== 'evidence pruned too early')
  for (const mistake of sound) expect([mistake, await live(undefined, cases[mistake])]).toEqual([mistake, 'nothing'])
  tell('seeded mistakes', { found: MISTAKES.length, 'faults fired': fired })
  expect(fired).toBe(MISTAKES.length)
})
