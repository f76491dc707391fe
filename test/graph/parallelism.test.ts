/** The parallelism that a job and its operators name. */
import { expect, test } from 'vitest'
import { buildJob, type Flow } from '../../engine/index.ts'
import type { JobNode } from '../../engine/graph/job-graph.ts'
import { refusal } from './build.ts'
import { sink, source } from './connectors.ts'

const nothing = (): void => undefined

const build = (flow: Flow): void => {
  const a = flow.source('a', source<number>(), { parallelism: 1 })
  const b = a
    .map('map', (n) => n, { parallelism: 2 })
    .filter('filter', () => true, { parallelism: 3 })
    .flatMap('flat-map', (n) => [n], { parallelism: 4 })
    .process('process', { onRecord: nothing }, { parallelism: 128 })
  b.connect(a)
    .process('connect', { onFirst: nothing, onSecond: nothing }, { parallelism: 6 })
    .sink('sink', sink(), { parallelism: 7 })
  a.sink('free', sink(), {})
}

test('is kept by each operator that names one, and shown in the plan', () => {
  const { graph, plan } = buildJob({ id: 'job', build }, {})
  const named = { a: 1, map: 2, filter: 3, 'flat-map': 4, process: 128, connect: 6, sink: 7, free: undefined }
  const shown = (list: readonly object[]): unknown =>
    Object.fromEntries(list.map((one) => [(one as JobNode).id, (one as { readonly parallelism?: number }).parallelism]))
  expect(shown(graph.nodes)).toEqual(named)
  expect(shown(plan.operators)).toEqual(named)
  expect(Object.keys(plan.operators.at(-1) ?? {})).not.toContain('parallelism')
})

test('of an operator is part of the hash of the plan, that of the job is not', () => {
  const hash = (parallelism: number, job: number) =>
    buildJob(
      { id: 'job', parallelism: job, build: (flow) => flow.source('a', source(), { parallelism }).sink('s', sink()) },
      {},
    ).planHash
  expect(hash(2, 1)).toBe(hash(2, 8))
  expect(hash(2, 1)).not.toBe(hash(3, 1))
})

test.each([0, -1, 1.5, 129, Number.NaN, Number.POSITIVE_INFINITY, '2', null])('%s is refused', (wrong) => {
  const parallelism = wrong as number
  expect(refusal((flow) => flow.source('a', source()).sink('s', sink(), { parallelism }))).toMatch(
    /^sink "s": parallelism is .*; it must be a whole number from 1 to 128$/,
  )
  expect(refusal(build, { parallelism })).toMatch(/^job "job": parallelism is .* from 1 to 128$/)
})

test('options that are none are refused', () => {
  const wrong = (options: unknown) => refusal((flow) => void flow.source('a', source(), options as never))
  expect(wrong({ paralellism: 2 })).toMatch(/option paralellism of source "a" is unknown; known is parallelism/)
  expect(wrong(2)).toMatch(/options of source "a" are a number, not an object/)
})
