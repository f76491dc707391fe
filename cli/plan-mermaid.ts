/**
 * The tasks of a job as a Mermaid flowchart, as documents and pull requests show it: a box for each group of operators that run in one task,
 * thick arrows where records go from task to task.
 */
import type { Plan, PlanOperator } from '../engine/graph/plan.ts'
import type { Connection, TaskGraph } from '../engine/graph/task-graph.ts'

const SHAPES: Readonly<Partial<Record<PlanOperator['kind'], readonly [string, string]>>> = {
  source: ['([', '])'],
  sink: ['[[', ']]'],
}
const PLAIN_SHAPE = ['[', ']'] as const

export function planMermaid(plan: Plan, tasks: TaskGraph): readonly string[] {
  const operators = new Map(plan.operators.map((operator) => [operator.id, operator]))
  // Names of our own: what a job calls its operators may be words of Mermaid.
  const ids = tasks.vertices.flatMap((vertex) => vertex.operators)
  const nameOf = (id: string): string => `op${ids.findIndex((one) => one === id)}`
  const edges = [
    ...tasks.chained.map((one) => `  ${nameOf(one.from)} -->${labelOf(one)} ${nameOf(one.to)}`),
    ...tasks.exchanges.map((one) => `  ${nameOf(one.from)} ==>${labelOf(one)} ${nameOf(one.to)}`),
  ]
  return [
    'flowchart LR',
    ...tasks.vertices.flatMap((vertex, index) => [
      `  subgraph task${index}["${vertex.parallelism} ${vertex.parallelism === 1 ? 'task' : 'tasks'}"]`,
      ...vertex.operators.flatMap((id) => {
        const operator = operators.get(id)
        return operator === undefined ? [] : [`    ${nameOf(id)}${nodeOf(operator)}`]
      }),
      '  end',
    ]),
    ...edges,
  ]
}

function nodeOf({ id, kind, connector, guarantee, state, operatorState }: PlanOperator): string {
  const [open, close] = SHAPES[kind] ?? PLAIN_SHAPE
  const states = Object.entries({ ...state, ...operatorState }).map(([name, what]) => `${name}: ${what}`)
  const what = connector === undefined ? kind : `${kind} ${connector}`
  const lines = [id, what, ...(guarantee === undefined ? [] : [guarantee]), ...states]
  return `${open}"${lines.map(escaped).join('<br/>')}"${close}`
}

function labelOf({ side, partition }: Connection): string {
  const by = partition.kind === 'key' ? 'by key' : partition.kind
  const words = [...(side === undefined ? [] : [`side ${side}`]), ...(partition.kind === 'forward' ? [] : [by])]
  return words.length === 0 ? '' : `|"${escaped(words.join(', '))}"|`
}

/** As Mermaid writes characters that mean something in its texts or in HTML. */
function escaped(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N} ._:,/-]/gu, (character) => `#${character.codePointAt(0) ?? 32};`)
}
