/** A job with one seeded mistake, killed where it hurts: the checks of the kill tests must find it. A checker that never failed proves nothing. */
import { expect, test } from 'vitest'
import { Consumer } from './consumer.ts'
import { Arena, LOG, REPLAY, tell, type CutEdit, type Strike } from './harness.ts'
import { MISTAKES, type Mistake } from './mistakes.ts'

interface Case {
  readonly strikes: readonly Strike[]
  /** The strike kills; otherwise it fails a call. */
  readonly isKilled: boolean
  readonly finds: RegExp
}

const entry = `link ${LOG}/`
/** Before it an epoch that is not empty is completed and not committed. */
const due = 'rename counts/part'
const killed = (match: string, nth: number, moment: 'before' | 'after', finds: RegExp): Case => ({
  strikes: [{ match, nth, moment, how: 'KILL' }],
  isKilled: true,
  finds,
})

const cases: Readonly<Record<Mistake, Case>> = {
  'commit before completion': killed('rename counts/part', 3, 'after', /visible of \d+ completed/),
  'abort instead of commit at recovery': killed(due, 4, 'before', /deep-equal|visible of/),
  'no commit at recovery': killed(due, 4, 'before', /deep-equal|visible of/),
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

const TRIES = 4

/** Where a mistake needs a consumer or a slow call at the right moment, a run may not have it there: then another one is made. */
async function found(mistake: Mistake): Promise<string> {
  const before = fired
  for (let tries = 1; ; tries += 1) {
    const said = await live(mistake, cases[mistake])
    if (said !== 'nothing' || tries === TRIES) return said
    fired = before
  }
}

test.each(MISTAKES)('the checks find: %s', async (mistake) => {
  expect(await found(mistake)).toMatch(cases[mistake].finds)
})

interface Cut {
  readonly crash: Strike
  readonly settings?: Readonly<Record<string, number>>
  readonly edit: CutEdit
}

const completed: Strike = { match: due, nth: 4, moment: 'before', how: 'KILL' }

/** Mistakes of a cut, seeded into a checkpoint that is sound: what it holds is changed in the log while nobody runs. */
const cuts: Readonly<Record<string, Cut>> = {
  'state is not in the cut, or not restored': { crash: completed, edit: ({ state: _, ...rest }) => rest },
  'deltas are since the last attempt instead of the base (F30)': {
    crash: completed,
    edit: (operator, before) => (before?.state === undefined ? operator : { ...operator, state: before.state }),
  },
  'state is newer than the cut (F31)': {
    crash: completed,
    edit: (operator, before) => (before?.splits === undefined ? operator : { ...operator, splits: before.splits }),
  },
  'prepared data is not in the cut (F12)': { crash: completed, edit: ({ committables: _, ...rest }) => rest },
  'the end of input is not in the cut (F24)': {
    crash: { match: entry, nth: 3, moment: 'after', how: 'KILL' },
    settings: { BATCH: 240, INTERVAL_MS: 60_000 },
    edit: (operator) => ({
      ...operator,
      ended: false,
      ...(operator.splits && { splits: operator.splits.map((split) => ({ ...split, ended: false })) }),
    }),
  },
}

async function restored({ crash, settings = {}, edit }: Cut): Promise<string> {
  using arena = new Arena()
  await arena.run(null, { strikes: [crash], settings })
  fired += 1
  arena.changeCut(edit)
  try {
    await arena.finish()
    return 'nothing'
  } catch (error) {
    return String(error)
  }
}

test.each(Object.entries(cuts))('the checks find a checkpoint in which %s', async (_name, cut) => {
  expect(await restored(cut)).toMatch(/deep-equal/)
})

test('the checks find nothing in the same runs without a mistake', async () => {
  // Its place, the second removal of a file in an epoch, is not there without the mistake.
  const sound = MISTAKES.filter((mistake) => mistake !== 'evidence pruned too early')
  const different = new Map(sound.map((mistake) => [JSON.stringify(cases[mistake].strikes), cases[mistake]]))
  for (const one of different.values()) expect(await live(undefined, one)).toBe('nothing')
  const crashes = new Map(Object.values(cuts).map((cut) => [JSON.stringify(cut.crash), cut]))
  for (const cut of crashes.values()) {
    expect(await restored({ ...cut, edit: (operator) => operator })).toBe('nothing')
  }
  tell('seeded mistakes', { found: MISTAKES.length + Object.keys(cuts).length, 'faults fired': fired })
  expect(fired).toBe(MISTAKES.length + Object.keys(cuts).length + crashes.size)
})
