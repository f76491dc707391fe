/**
 * The graph of a job as a tree of text: from each source down to the sinks. What several streams lead to is shown where the first one comes
 * to it; the others point there.
 */
import type { Plan, PlanOperator } from '../engine/graph/plan.ts'

interface Row {
  readonly branch: string
  readonly id: string
  readonly about: string
}

export function planTree(plan: Plan): readonly string[] {
  const rows = new Tree(plan).rows()
  const width = Math.max(...rows.map(({ branch, id }) => branch.length + id.length))
  return rows.map(({ branch, id, about }) => `${`${branch}${id}`.padEnd(width)}  ${about}`)
}

class Tree {
  readonly #plan: Plan
  readonly #operators: ReadonlyMap<string, PlanOperator>
  readonly #shown = new Set<string>()
  readonly #rows: Row[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    this.#operators = new Map(plan.operators.map((operator) => [operator.id, operator]))
  }

  rows(): readonly Row[] {
    for (const { id, kind } of this.#plan.operators) if (kind === 'source') this.#show(id, '', '')
    return this.#rows
  }

  /** `before` stands before it, `below` before what it leads to. */
  #show(id: string, before: string, below: string): void {
    const operator = this.#operators.get(id)
    if (operator === undefined) return
    if (this.#shown.has(id)) {
      this.#rows.push({ branch: before, id, about: `${operator.kind}, shown above` })
      return
    }
    this.#shown.add(id)
    this.#rows.push({ branch: before, id, about: this.#about(operator) })
    // One that is read twice by the same operator, too.
    const readers = [...new Set(this.#plan.edges.filter(({ from }) => from === id).map(({ to }) => to))]
    for (const [index, reader] of readers.entries()) {
      const isLast = index === readers.length - 1
      this.#show(reader, `${below}${isLast ? '└─ ' : '├─ '}`, `${below}${isLast ? '   ' : '│  '}`)
    }
  }

  #about(operator: PlanOperator): string {
    const { kind, connector, guarantee, state, operatorState, parallelism } = operator
    const inputs = this.#plan.edges.filter(({ to }) => to === operator.id)
    const states = Object.entries({ ...state, ...operatorState }).map(([name, what]) => `${name}: ${what}`)
    const isStateful = kind === 'process' || kind === 'connect'
    const side = inputs.find((edge) => edge.side !== undefined)?.side
    return [
      connector === undefined ? kind : `${kind} ${connector}`,
      ...(guarantee === undefined ? [] : [guarantee]),
      ...(inputs.length > 1 ? [`of ${inputs.map(({ from }) => from).join(' and ')}`] : []),
      ...(side === undefined ? [] : [`output "${side}"`]),
      ...(isStateful ? [states.length === 0 ? 'no state' : `state ${states.join(', ')}`] : []),
      ...(parallelism === undefined ? [] : [`parallelism ${parallelism}`]),
    ].join(', ')
  }
}
