/**
 * Counters and gauges of a run, by operator, subtask and name. One registry lives beside the coordinator for the whole run; each worker has
 * one for its attempt and sends what has changed.
 *
 * - Counters only grow, whatever attempts end and begin: they say what was done, and what is done again after a restart counts again.
 * - A gauge of a subtask goes with its attempt.
 * - C8: what one operator may name is limited; names beyond that are counted, not kept.
 */
import type { Metrics } from '../api/index.ts'

/** One number, as it crosses a process and as programs are told it. */
export interface Figure {
  readonly operator: string
  /** null: of the operator as a whole (its committer). */
  readonly subtask: number | null
  readonly name: string
  readonly kind: 'counter' | 'gauge'
  readonly value: number
}

/** The engine's own are kept apart from those that connectors name. */
export type FigureOwner = 'engine' | 'connector'
export type FigureChange = Figure & { readonly owner: FigureOwner }

/** To be added to once per batch: a plain number, so that nothing is looked up. */
export interface Counter {
  value: number
}

interface Cell extends Counter {
  readonly figure: Omit<FigureChange, 'value'>
  /** What `takeChanges` has told of it. */
  told: number | undefined
}

/** Of the figures that connectors name, for each subtask of an operator. */
const MOST_NAMES = 200
/** How many more calls there were with other names. */
const UNKEPT = 'figures-not-kept'

export class Figures {
  readonly #cells = new Map<string, Cell>()

  /** The same one for the same names, across attempts. */
  counter(operator: string, subtask: number | null, name: string): Counter {
    return this.#cell({ owner: 'engine', operator, subtask, name, kind: 'counter' })
  }

  /** What sources and sinks are given. A delta that is negative or no number, and a gauge that is no number, are passed over. */
  metricsOf(operator: string, subtask: number | null): Metrics {
    // So that a call costs one look-up, of the name alone.
    const mine = new Map<string, Cell>()
    const cellOf = (name: string, kind: Figure['kind']): Cell => {
      const key = `${kind} ${name}`
      let cell = mine.get(key)
      if (cell === undefined && mine.size >= MOST_NAMES && name !== UNKEPT) return cellOf(UNKEPT, 'counter')
      cell ??= this.#cell({ owner: 'connector', operator, subtask, name, kind })
      mine.set(key, cell)
      return cell
    }
    return {
      count: (name, delta) => {
        if (!(delta > 0) || delta === Infinity) return
        const cell = cellOf(name, 'counter')
        cell.value += cell.figure.name === name ? delta : 1
      },
      gauge: (name, value) => {
        if (!Number.isFinite(value)) return
        const cell = cellOf(name, 'gauge')
        cell.value = cell.figure.kind === 'gauge' ? value : cell.value + 1
      },
    }
  }

  /** What another registry has told: counters are added, gauges replaced. */
  add(changes: readonly FigureChange[]): void {
    for (const { value, ...figure } of changes) {
      const cell = this.#cell(figure)
      cell.value = figure.kind === 'counter' ? cell.value + value : value
    }
  }

  /** What has changed since the last call: of counters by how much. */
  takeChanges(): readonly FigureChange[] {
    const changes: FigureChange[] = []
    for (const cell of this.#cells.values()) {
      const { figure, value, told } = cell
      if (value === told) continue
      changes.push({ ...figure, value: figure.kind === 'counter' ? value - (told ?? 0) : value })
      cell.told = value
    }
    return changes
  }

  /** An attempt begins: its subtasks have not said anything yet. */
  dropGauges(): void {
    for (const [key, { figure }] of this.#cells) {
      if (figure.kind === 'gauge' && figure.subtask !== null) this.#cells.delete(key)
    }
  }

  /** Of the engine's counters with this name, over all subtasks. */
  sum(operator: string, name: string): number {
    let sum = 0
    for (const { figure, value } of this.#cells.values()) {
      if (figure.owner === 'engine' && figure.operator === operator && figure.name === name) sum += value
    }
    return sum
  }

  /** Those that connectors name. */
  read(): readonly Figure[] {
    return [...this.#cells.values()]
      .filter(({ figure }) => figure.owner === 'connector')
      .map(({ figure: { operator, subtask, name, kind }, value }) => ({ operator, subtask, name, kind, value }))
  }

  #cell(figure: Omit<FigureChange, 'value'>): Cell {
    const key = keyOf(figure)
    const known = this.#cells.get(key)
    if (known !== undefined) return known
    const cell: Cell = { figure, value: 0, told: figure.kind === 'counter' ? 0 : undefined }
    this.#cells.set(key, cell)
    return cell
  }
}

function keyOf({ owner, operator, subtask, name, kind }: Omit<FigureChange, 'value'>): string {
  return `${owner} ${kind} ${operator} ${subtask} ${name}`
}
