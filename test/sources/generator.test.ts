import { describe, expect, test } from 'vitest'
import { TerminalError, type Random } from '../../engine/api/index.ts'
import { generatorSource, type GeneratorSourceOptions } from '../../sources/generator/source.ts'
import { contextIn } from '../conformance/source-run.ts'

class SteppedClock {
  ms = 5_000
  now(): number {
    return 0
  }
  monotonicMs(): number {
    return this.ms
  }
}

const never = new AbortController().signal

async function readerOf<T>(options: GeneratorSourceOptions<T>, index = 0, clock = new SteppedClock()) {
  const source = generatorSource(options)
  const reader = await source.createReader({ ...contextIn('.'), clock })
  await reader.assign([{ split: { id: 'generated' }, position: { index } }])
  return { reader, clock, take: async () => await reader.poll(never) }
}

async function valuesOf<T>(options: GeneratorSourceOptions<T>, index = 0): Promise<T[]> {
  const { take } = await readerOf(options, index)
  const values: T[] = []
  for (;;) {
    const polled = await take()
    if (polled.kind !== 'records') return values
    values.push(...polled.records.values)
  }
}

const drawn = (index: number, random: Random): string => `${index} ${random.next()} ${random.token(5)}`

describe('records', () => {
  test('depend on seed and index alone', async () => {
    const all = await valuesOf({ seed: 3, count: 50, generate: drawn })
    expect(all).toHaveLength(50)
    expect(new Set(all.map((text) => text.split(' ')[1])).size).toBe(50)
    for (const index of [0, 1, 17, 49, 50]) {
      expect(await valuesOf({ seed: 3, count: 50, generate: drawn, batchSize: 7 }, index)).toEqual(all.slice(index))
    }
  })

  test('do not depend on how much chance their neighbours took', async () => {
    const greedy = (index: number, random: Random): string => {
      if (index % 2 === 0) for (let draws = 0; draws < 9; draws += 1) random.next()
      return drawn(index, random)
    }
    const all = await valuesOf({ seed: 3, count: 20, generate: drawn })
    const some = await valuesOf({ seed: 3, count: 20, generate: greedy })
    expect(some.filter((_, index) => index % 2 === 1)).toEqual(all.filter((_, index) => index % 2 === 1))
  })

  test('of other seeds are others, and chance is even', async () => {
    const generate = (_: number, random: Random): number => random.next()
    const one = await valuesOf({ seed: 1, count: 10_000, generate })
    const two = await valuesOf({ seed: 2, count: 10_000, generate })
    expect(new Set([...one, ...two]).size).toBe(20_000)
    for (const drawnNumbers of [one, two]) {
      const tenths = Array.from({ length: 10 }, () => 0)
      for (const number of drawnNumbers) tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1
      for (const tenth of tenths) expect(Math.abs(tenth - 1_000)).toBeLessThan(150)
    }
    expect((await valuesOf({ seed: 1, count: 1, generate }, 0))[0]).not.toBe(
      (await valuesOf({ seed: 2 ** 40 + 1, count: 1, generate }))[0],
    )
  })
})

describe('rate', () => {
  const paced = { seed: 1, ratePerSecond: 10, generate: (index: number): number => index }

  test('records come when they are due, and until then the answer says how long to wait', async () => {
    const { clock, take } = await readerOf(paced)
    expect(await take()).toEqual({ kind: 'idle', retryAfterMs: 100 })
    clock.ms += 40
    expect(await take()).toEqual({ kind: 'idle', retryAfterMs: 60 })
    clock.ms += 60
    expect(await take()).toMatchObject({ kind: 'records', records: { values: [0] }, after: { index: 1 } })
    clock.ms += 350
    expect(await take()).toMatchObject({ kind: 'records', records: { values: [1, 2, 3] } })
    expect(await take()).toEqual({ kind: 'idle', retryAfterMs: 50 })
  })

  test('counts from the start of each run, not from the first record', async () => {
    const { clock, take } = await readerOf(paced, 1_000)
    expect(await take()).toMatchObject({ kind: 'idle' })
    clock.ms += 100
    expect(await take()).toMatchObject({ records: { values: [1_000] } })
  })

  test('after a long pause it makes up for one second at most', async () => {
    const { clock, take } = await readerOf(paced)
    clock.ms += 3_600_000
    const polled = await take()
    expect(polled.kind === 'records' ? polled.records.values.length : 0).toBeLessThanOrEqual(11)
    expect(await take()).toMatchObject({ kind: 'idle' })
  })

  test('over a minute there are as many as the rate says', async () => {
    const { clock, take } = await readerOf({ ...paced, ratePerSecond: 333 })
    let found = 0
    const end = clock.ms + 60_000
    while (clock.ms < end) {
      const polled = await take()
      if (polled.kind === 'records') found += polled.records.values.length
      if (polled.kind === 'idle') clock.ms = Math.min(end, clock.ms + (polled.retryAfterMs ?? 10))
    }
    expect(Math.abs(found - 333 * 60)).toBeLessThanOrEqual(1)
  })
})

test.each([
  [{ seed: 0.5 }, /seed of a generator source is 0.5/],
  [{ count: -1 }, /count/],
  [{ ratePerSecond: 0 }, /ratePerSecond/],
  [{ batchSize: 0 }, /batchSize/],
])('options that cannot be are refused: %o', (options, message) => {
  const make = (): unknown => generatorSource({ seed: 1, generate: () => 1, ...options })
  expect(make).toThrow(TerminalError)
  expect(make).toThrow(message)
})
