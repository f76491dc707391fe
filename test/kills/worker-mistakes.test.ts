/** Mistakes that only a host of workers can make, seeded into the engine while a worker of the parallel job is killed: the checks find them. */
import { expect, test } from 'vitest'
import { inPairs, tell, type Strike } from './harness.ts'
import { FACTS } from './parallel-input.ts'
import { expectComplete, parallelArena } from './parallel-truth.ts'
import { inWorkers, job, kill } from './worker-points.ts'

const WRONG_OUTPUT = /^AssertionError[^:]*: (direct|plain|ordered|odd|joined|ruled-out|not every)/

const NOT_WAITING = 'an attempt does not wait until the one before is disposed of'

/** By what they are found: the output, or the engine itself. */
const MISTAKES: Readonly<Record<string, RegExp>> = {
  'records of the attempt before arrive in the next one': WRONG_OUTPUT,
  'a barrier overtakes records between workers': WRONG_OUTPUT,
  'records are lost between workers': WRONG_OUTPUT,
  'an attempt after a death begins without its checkpoint': /base \d+ of checkpoint \d+ is not known to this state/,
  'an attempt after a death begins without keyed state': WRONG_OUTPUT,
  'an attempt after a death has the names of the one before': WRONG_OUTPUT,
  [NOT_WAITING]: /an attempt is prepared in a worker that is free/,
}

/** Worker 1 dies in the middle of a snapshot, when there are checkpoints to begin from. */
const DEATH = kill(1, 'rename .sluice/kills/blob/', 6, 'after')
/** Worker 0 has not written its own for long. */
const SLOW: Strike = { in: 0, match: 'rename .sluice/kills/blob/', nth: 9, times: 4, slowMs: 2_500, how: 'SLOW' }

async function foundWith(mistake: string): Promise<string> {
  using arena = parallelArena()
  const run = arena.start({
    job,
    flags: inWorkers(2, 3),
    mistakes: 'worker-mistakes.mjs',
    settings: { MISTAKE: mistake },
    strikes: [DEATH, ...(['none', NOT_WAITING].includes(mistake) ? [SLOW] : [])],
  })
  const { code } = await run.ended
  expect(run.worker(1).struck).toHaveLength(1)
  if (code !== 0) return run.said
  try {
    return `nothing in ${await expectComplete(arena)} facts`
  } catch (error) {
    return String(error)
  }
}

test('the checks find each mistake of a host of workers, and nothing without one', async () => {
  const found = new Map<string, string>()
  await inPairs([...Object.keys(MISTAKES), 'none'], async (mistake) => {
    found.set(mistake, await foundWith(mistake))
  })
  const sought = Object.entries(MISTAKES).map(([mistake, finds]) => [mistake, expect.stringMatching(finds)] as const)
  expect(Object.fromEntries(found)).toEqual({ ...Object.fromEntries(sought), none: `nothing in ${FACTS} facts` })
  tell('seeded mistakes of workers', { found: found.size - 1 })
})
