/**
 * What all tasks of an attempt have said, made one: a checkpoint is acknowledged when every task has, a source has ended when all of its
 * subtasks are exhausted, the input when every task has ended. Pure.
 */
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import type { TaskGraph } from '../graph/task-graph.ts'
import type { TaskId } from '../task/host.ts'
import type { FromTask } from '../task/messages.ts'

/**
 * What one task says, said of all: `acknowledged` holds the parts of all of them, in the order of the graph and of the subtasks, and the
 * longest alignment; `source-exhausted` and `input-ended` are said when the last one has. One that declines or fails speaks for all.
 */
export type FromTasks = FromTask

type Part = Extract<FromTask, { kind: 'acknowledged' }>

export class Collection {
  readonly #order: ReadonlyMap<string, number>
  readonly #tasks: number
  readonly #sources: ReadonlyMap<string, number>
  #checkpoint = 0
  #parts = new Map<string, Part>()
  readonly #exhausted = new Set<string>()
  readonly #ended = new Set<string>()

  constructor(graph: JobGraph, { vertices }: TaskGraph) {
    this.#order = new Map(graph.nodes.map((node, index) => [node.id, index]))
    this.#tasks = vertices.reduce((sum, { parallelism }) => sum + parallelism, 0)
    this.#sources = new Map(vertices.map(({ id, parallelism }) => [id, parallelism]))
  }

  /** What follows from a task's message; undefined: nothing yet, or it was said before. */
  take(task: TaskId, message: FromTask): FromTasks | undefined {
    switch (message.kind) {
      case 'acknowledged':
        return this.#acknowledged(task, message)
      case 'source-exhausted': {
        const { source } = message
        this.#exhausted.add(nameOf(task))
        const mine = [...this.#exhausted].filter((name) => name.startsWith(`${source} `)).length
        return mine === this.#sources.get(source) ? { kind: 'source-exhausted', source } : undefined
      }
      case 'input-ended':
        this.#ended.add(nameOf(task))
        return this.#ended.size === this.#tasks ? { kind: 'input-ended' } : undefined
      case 'declined':
      case 'failed':
      default:
        return message
    }
  }

  #acknowledged(task: TaskId, part: Part): FromTasks | undefined {
    if (part.checkpoint < this.#checkpoint) return undefined
    if (part.checkpoint > this.#checkpoint) {
      this.#checkpoint = part.checkpoint
      this.#parts = new Map()
    }
    this.#parts.set(nameOf(task), part)
    if (this.#parts.size < this.#tasks) return undefined
    const parts = [...this.#parts.values()]
    const operators = parts
      .flatMap((one) => one.operators)
      .toSorted((a, b) => this.#placeOf(a) - this.#placeOf(b) || a.subtask - b.subtask)
    const alignedMs = Math.max(...parts.map((one) => one.alignedMs))
    return { kind: 'acknowledged', checkpoint: part.checkpoint, operators, alignedMs }
  }

  #placeOf({ operator }: OperatorSnapshot): number {
    return this.#order.get(operator) ?? 0
  }
}

function nameOf({ vertex, subtask }: TaskId): string {
  return `${vertex} ${subtask}`
}
