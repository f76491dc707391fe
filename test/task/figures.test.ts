/** The registry that tasks count into, and how two of them become one. */
import { expect, test } from 'vitest'
import { Figures } from '../../engine/task/figures.ts'

test('counters of the same name are one, whoever asks for them; those of the engine are told apart from those of connectors', () => {
  const figures = new Figures()
  figures.counter('in', 0, 'read').value += 3
  figures.counter('in', 0, 'read').value += 4
  figures.counter('in', 1, 'read').value += 5
  figures.metricsOf('in', 0).count('read', 100)
  figures.metricsOf('in', 0).count('read', 1)
  expect(figures.sum('in', 'read')).toBe(12)
  expect(figures.read()).toEqual([{ operator: 'in', subtask: 0, name: 'read', kind: 'counter', value: 101 }])
})

test('what is no amount is passed over: counters only grow, and all figures are numbers', () => {
  const figures = new Figures()
  const metrics = figures.metricsOf('in', 0)
  for (const delta of [1, -5, NaN, Infinity, 0, 2]) metrics.count('bad', delta)
  for (const value of [NaN, Infinity]) metrics.gauge('nothing', value)
  for (const value of [7, -1.5]) metrics.gauge('depth', value)
  expect(figures.read().map(({ name, value }) => [name, value])).toEqual([
    ['bad', 3],
    ['depth', -1.5],
  ])
})

test('what a worker counts arrives whole, in any number of pieces; a worker that comes after it goes on from there', () => {
  const run = new Figures()
  for (const attempt of [1, 2]) {
    const worker = new Figures()
    const read = worker.counter('in', 0, 'read')
    const metrics = worker.metricsOf('out', 3)
    expect(worker.takeChanges()).toEqual([])
    for (let batch = 0; batch < 10; batch += 1) {
      read.value += 10
      metrics.count('uploads', 1)
      metrics.gauge('open', batch * attempt)
      if (batch % 3 === 0) run.add(worker.takeChanges())
    }
    run.add(worker.takeChanges())
    expect(worker.takeChanges()).toEqual([])
    expect(run.sum('in', 'read')).toBe(100 * attempt)
    expect(run.read().map(({ name, value }) => [name, value])).toEqual([
      ['uploads', 10 * attempt],
      ['open', 9 * attempt],
    ])
  }
})

test('a gauge goes with the attempt that set it, a counter and what concerns the whole operator stay', () => {
  const figures = new Figures()
  const old = figures.metricsOf('out', 0)
  old.gauge('open', 5)
  old.count('uploads', 2)
  figures.metricsOf('out', null).gauge('open', 1)
  figures.dropGauges()
  const left = [
    { operator: 'out', subtask: 0, name: 'uploads', kind: 'counter', value: 2 },
    { operator: 'out', subtask: null, name: 'open', kind: 'gauge', value: 1 },
  ]
  expect(figures.read()).toEqual(left)
  // A late word of who is gone.
  old.gauge('open', 9)
  expect(figures.read()).toEqual(left)
  figures.metricsOf('out', 0).gauge('open', 3)
  expect(figures.read()).toContainEqual({ operator: 'out', subtask: 0, name: 'open', kind: 'gauge', value: 3 })
})

test('names are limited, and what is not kept is counted (C8)', () => {
  const figures = new Figures()
  const metrics = figures.metricsOf('out', 0)
  for (let index = 0; index < 1_000; index += 1) metrics.count(`customer-${index}`, 7)
  metrics.gauge('late', 1)
  const kept = figures.read()
  expect(kept).toHaveLength(201)
  expect(kept.find(({ name }) => name === 'figures-not-kept')?.value).toBe(801)
  metrics.count('customer-0', 7)
  expect(figures.read().find(({ name }) => name === 'customer-0')?.value).toBe(14)
})
