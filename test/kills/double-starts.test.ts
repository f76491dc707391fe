/** Two processes and one job (F13). CI starts a few times; SLUICE_KILLS=all fifty, and supervised copies for a minute. */
import { expect, test } from 'vitest'
import { Arena, FACTS, IS_LONG, LOG, SLOW, tell } from './harness.ts'
import { type Run, until } from './run.ts'

const STARTS = IS_LONG ? 50 : 6
const SUPERVISED_MS = IS_LONG ? 60_000 : 6_000

test('two processes started at once: one runs, the other exits 3 and fences nobody', { timeout: 300_000 }, async () => {
  let facts = 0
  for (let time = 0; time < STARTS; time += 1) {
    using arena = new Arena()
    // Every other time the job has a past: a generation that died with work left.
    if (time % 2 === 1) await arena.killed({ match: `link ${LOG}/`, nth: 6, moment: 'after', how: 'KILL' })
    const ended = await Promise.all([arena.start({ settings: SLOW }).ended, arena.start({ settings: SLOW }).ended])
    expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([0, 3]))
    expect(arena.log().filter(({ kind }) => kind === 'started')).toHaveLength(1 + (time % 2))
    facts += arena.expectComplete()
  }
  tell('double starts', { starts: STARTS, facts })
  expect(facts).toBe(STARTS * FACTS)
})

test(
  'two supervised copies do not fence each other for ever: one runs until it dies, then the other',
  { timeout: 120_000 },
  async () => {
    using arena = new Arena()
    using copies = new Supervised(arena)
    const endAt = performance.now() + SUPERVISED_MS
    let deaths = 0
    while (performance.now() < endAt) {
      const refusedBefore = copies.refused
      await until(
        () => copies.holder !== undefined && copies.refused > refusedBefore + 1,
        'one to run, the other to be refused',
      )
      const { holder } = copies
      await until(() => (holder?.events('completed').length ?? 0) > 3, 'the holder to complete checkpoints')
      expect(copies.running).toBe(deaths + 1)
      holder?.child.kill('SIGKILL')
      await holder?.ended
      deaths += 1
      await until(() => copies.running === deaths + 1, 'the other to take over')
    }
    const started = arena.log().filter(({ kind }) => kind === 'started').length
    tell('supervised copies', { deaths, generations: started, refused: copies.refused })
    expect(deaths).toBeGreaterThanOrEqual(2)
    // A generation per death, and the first: nobody was fenced.
    expect(started).toBe(deaths + 1)
    expect(copies.fenced).toBe(0)
  },
)

/** Two copies of an endless job, each started again whenever it ends. */
class Supervised implements Disposable {
  readonly #arena: Arena
  readonly #runs = new Set<Run>()
  #isOver = false
  refused = 0
  fenced = 0
  running = 0
  holder: Run | undefined

  constructor(arena: Arena) {
    this.#arena = arena
    void this.#keepAlive()
    void this.#keepAlive()
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    for (const run of this.#runs) run.child.kill('SIGKILL')
  }

  async #keepAlive(): Promise<void> {
    while (!this.#isOver) {
      const run = this.#arena.start({ settings: { COUNT: 1e9, BATCH: 5, PACE_MS: 5 } })
      this.#runs.add(run)
      let isOver = false
      void run.ended.then(() => {
        isOver = true
      })
      await until(() => isOver || run.events('running').length > 0, 'a copy to run or to be refused')
      const hasRun = run.events('running').length > 0
      if (hasRun) {
        this.running += 1
        this.holder = run
      }
      const { code } = await run.ended
      this.#runs.delete(run)
      if (code === 3 && hasRun) this.fenced += 1
      else if (code === 3) this.refused += 1
    }
  }
}
