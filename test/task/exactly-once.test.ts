/**
 * Whole lives of a job over one task: visible output must be what one uninterrupted run would give; and the check must catch a task that
 * lies in one of the known ways.
 */
import { expect, test } from 'vitest'
import { list, value } from '../../engine/graph/descriptors.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { graphOf } from './attempt.ts'
import { MemorySource } from './in-memory.ts'
import { honest, live, slowSink, NO_FAULTS, type Mutant, type World } from './lives.ts'

const RECORDS = 120
const KEYS = 5

const positionAskedFromReader: Mutant = (operators, { world }) =>
  operators.map((one) => ({
    ...one,
    ...(one.splits && {
      splits: one.splits.map((split) => ({
        ...split,
        position: world.sources[0]?.readerPositions.get(split.split.id) ?? split.position,
      })),
    }),
  }))

const endNotInTheCut: Mutant = (operators) =>
  operators.map((one) => ({
    ...one,
    ended: false,
    ...(one.splits && { splits: one.splits.map((split) => ({ ...split, ended: false })) }),
  }))

const carriedCommittablesLost: Mutant = (operators, { checkpoint }) =>
  operators.map((one) => ({
    ...one,
    ...(one.committables && { committables: one.committables.filter((stored) => stored.checkpoint === checkpoint) }),
  }))

const stateNotInTheCut: Mutant = (operators) => operators.map(({ state: _, ...rest }) => rest)

function createSources(random: () => number): readonly MemorySource[] {
  const records = Array.from({ length: RECORDS }, (_, index) => index)
  const cut = 1 + Math.floor(random() * (RECORDS - 2))
  return [new MemorySource({ a: records.slice(0, cut), b: records.slice(cut) })]
}

function createGraph(world: World): JobGraph {
  const [source] = world.sources
  if (source === undefined) throw new Error('no source')
  return graphOf((flow) => {
    const all = flow.source('source', source)
    all.sink('plain', slowSink(world))
    all
      .keyBy((one) => Number(one) % KEYS)
      .process('sums', {
        state: { count: value(() => 0), seen: list<number>() },
        onRecord(one, { state, emit, key }) {
          state.count.set(state.count.get() + 1)
          state.seen.add(Number(one))
          emit([key, state.count.get(), state.seen.get().length])
        },
        onEnd: ({ emit }) => emit('the end'),
      })
      .sink('sums-out', slowSink(world))
  })
}

/** What one uninterrupted run gives, whatever the order between splits: order per split, and per key. */
function differences(world: World): readonly string[] {
  const found: string[] = []
  const plain = (world.visible.get('plain') ?? []).map(Number)
  const sorted = plain.toSorted((a, b) => a - b)
  if (sorted.join() !== Array.from({ length: RECORDS }, (_, index) => index).join()) found.push('plain')
  const sums = (world.visible.get('sums-out') ?? []).map((one) => JSON.stringify(one))
  const ends = sums.filter((one) => one === '"the end"').length
  if (ends !== 1) found.push(`${ends} ends`)
  for (let key = 0; key < KEYS; key += 1) {
    const mine = sums.filter((one) => one.startsWith(`[${key},`))
    const expected = Array.from({ length: RECORDS / KEYS }, (_, index) => `[${key},${index + 1},${index + 1}]`)
    if (mine.join() !== expected.join()) found.push(`sums of ${key}`)
  }
  return found
}

test('output is that of one uninterrupted run, through crashes, abandoned and declined checkpoints and late prepares', async () => {
  const total = { ...NO_FAULTS }
  let facts = 0
  for (let seed = 1; seed <= 60; seed += 1) {
    const world = await live({ seed, createSources, createGraph, mutant: honest })
    expect(differences(world), `seed ${seed}`).toEqual([])
    facts += [...world.visible.values()].reduce((sum, values) => sum + values.length, 0)
    total.crashes += world.faults.crashes
    total.abandoned += world.faults.abandoned
    total.declined += world.faults.declined
    total.late += world.faults.late
    total.afterEnd += world.faults.afterEnd
  }
  expect(facts).toBe(60 * (2 * RECORDS + 1))
  const { rescales: _, ...fired } = total
  expect(Math.min(...Object.values(fired))).toBeGreaterThanOrEqual(20)
})

test.each([
  ['positions asked from the reader (F35)', positionAskedFromReader],
  ['the end not in the cut (F24)', endNotInTheCut],
  ['committables of abandoned checkpoints lost (F12)', carriedCommittablesLost],
  ['state not in the cut', stateNotInTheCut],
])('the check catches a task with %s', async (_name, mutant) => {
  let caught = 0
  for (let seed = 1; seed <= 15; seed += 1) {
    const found = differences(await live({ seed, createSources, createGraph, mutant }))
    if (found.length > 0) caught += 1
  }
  expect(caught).toBeGreaterThanOrEqual(3)
})
