import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineJob } from 'sluice'
import { testSink } from 'sluice/conformance'
import { simulate } from 'sluice/simulation'
import { expect, test } from 'vitest'
import { balancesOf, paymentOf, warningOf, type Balance } from '../job.ts'
import { textSink } from '../text-sink.ts'

/** Two splits, as of two files; the payments of an account are in one of them, so their order is one. */
const ANNA_AND_BEN = ['anna', 'ben', 'anna', 'anna', 'ben', 'anna'].map((account, index) => ({
  account,
  cents: 100 * index - 150,
}))
const CHEN = [5, -20, 30].map((cents) => ({ account: 'chen', cents }))

test('each payment counts once, in order, in every life that the simulation gives the job', async () => {
  const tried = await simulate(
    ({ source, sink }) =>
      defineJob({
        id: 'simulated',
        build(flow) {
          balancesOf(flow.source('payments', source(ANNA_AND_BEN, CHEN))).sink('balances', sink())
        },
      }),
    { keyOf: (record) => (record as Balance).account },
  )
  expect(tried.lives).toBe(50)
  expect(tried.crashes).toBeGreaterThan(0)
  expect(tried.rescales).toBeGreaterThan(0)
})

test('what is no payment fails the job, and is shown', () => {
  expect(() => paymentOf({ account: 'anna', cents: 1.5 })).toThrow('this is no payment: {"account":"anna","cents":1.5}')
  expect(() => paymentOf(null)).toThrow('this is no payment: null')
})

test('a warning says who, how much, and when', () => {
  expect(warningOf({ account: 'ben', payments: 3, cents: -1205 })).toBe('ben is at -12.05 after 3 payments')
})

/** The sink of this project through all that a sink must stand: repeated commits, crashes, processes that wake up too late, … */
testSink('text', {
  create: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'text-sink-'))
    const files = async () => (await readdir(directory)).toSorted()
    return {
      createSink: () => textSink<number>({ directory, toLine: String }),
      record: (number) => number,
      readVisible: async () => {
        const visible = (await files()).filter((name) => !name.startsWith('.'))
        const texts = await Promise.all(visible.map((name) => readFile(join(directory, name), 'utf8')))
        return texts.flatMap((text) => text.trimEnd().split('\n').map(Number))
      },
      leftovers: async () => (await files()).filter((name) => name.startsWith('.')),
      destroyPrepared: async () => {
        for (const name of await files()) if (name.startsWith('.')) await rm(join(directory, name))
      },
      [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
    }
  },
})
