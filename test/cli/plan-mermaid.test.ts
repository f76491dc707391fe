/** The flowchart of a plan: a language of its own, in which names of a job must stay names. */
import { readFileSync } from 'node:fs'
import { assert, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { planMermaid } from '../../cli/plan-mermaid.ts'
import { parseOperatorId } from '../../engine/api/index.ts'
import type { Plan } from '../../engine/graph/plan.ts'
import type { TaskGraph } from '../../engine/graph/task-graph.ts'
import { QUICKSTART, ROUTES, Workplace } from './command.ts'
import { parseFlowchart } from './mermaid.ts'

test('tasks are boxes, operators are in them, records go along thin arrows within and thick ones between', async () => {
  using place = new Workplace()
  const { code, out, err } = await place.sluice('plan', ROUTES, '--mermaid')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { boxes, edges } = parseFlowchart(out)
  expect(boxes).toEqual([
    { title: '2 tasks', nodes: { op0: ['left', 'source generator', 'exactly-once'] } },
    { title: '1 task', nodes: { op1: ['right', 'source generator', 'exactly-once'] } },
    { title: '2 tasks', nodes: { op2: ['rules', 'source generator', 'exactly-once'] } },
    {
      title: '2 tasks',
      nodes: { op3: ['judge', 'connect', 'limits: broadcast-map'], op4: ['bad', 'sink discard', 'exactly-once'] },
    },
    { title: '4 tasks', nodes: { op5: ['spread', 'process', 'seen: split-list'] } },
    { title: '2 tasks', nodes: { op6: ['good', 'sink discard', 'exactly-once'] } },
  ])
  expect(edges).toEqual([
    { from: 'op3', to: 'op4', thick: false, label: 'side refused' },
    { from: 'op0', to: 'op3', thick: true, label: '' },
    { from: 'op1', to: 'op3', thick: true, label: '' },
    { from: 'op2', to: 'op3', thick: true, label: 'broadcast' },
    { from: 'op3', to: 'op5', thick: true, label: 'rebalance' },
    { from: 'op5', to: 'op6', thick: true, label: '' },
  ])
  expect(await place.sluice('plan', ROUTES, '--mermaid', '--json')).toMatchObject({
    code: 2,
    out: expect.stringContaining('SLUICE_USAGE'),
  })
})

test('the chart in the documentation is one that is printed', async () => {
  using place = new Workplace()
  const settings = ['--set', 'input=data/*', '--set', 'field=name', '--set', 'output=out']
  const { out } = await place.sluice('plan', QUICKSTART, ...settings, '--parallelism', '2', '--mermaid')
  expect(readFileSync('docs/cli.md', 'utf8')).toContain(`\`\`\`mermaid\n${out}\`\`\`\n`)
})

test('whatever connectors, state and side outputs are called, it stays the same chart, and they are read as they are', () => {
  assert(
    property(string({ unit: 'grapheme' }), string({ unit: 'binary' }), (connector, name) => {
      const [source, sink] = [parseOperatorId('end'), parseOperatorId('graph')]
      const plan: Plan = {
        format: 1,
        job: 'j',
        guarantee: 'exactly-once',
        keyGroups: 128,
        operators: [
          { id: source, kind: 'source', connector, guarantee: 'exactly-once', state: { [name]: 'value' } },
          { id: sink, kind: 'sink', connector },
        ],
        edges: [],
        paths: [],
      }
      const chained = [{ from: source, to: sink, side: name, port: 0, partition: { kind: 'forward' } }] as const
      const tasks: TaskGraph = {
        vertices: [{ id: source, operators: [source, sink], parallelism: 1 }],
        exchanges: [],
        chained,
      }
      const { boxes, edges } = parseFlowchart(planMermaid(plan, tasks).join('\n'))
      expect(boxes[0]?.nodes).toEqual({
        op0: ['end', `source ${connector}`, 'exactly-once', `${name}: value`],
        op1: ['graph', `sink ${connector}`],
      })
      expect(edges[0]?.label).toBe(`side ${name}`)
    }),
    { numRuns: 300 },
  )
})
