/**
 * The nodes that a build has declared so far, and which stream object stands for which node. Owns that ids are unique, and that a node
 * reads only nodes of the same build that can be read that way.
 */
import { assert, parseOperatorId, TerminalError, type OperatorId } from '../api/index.ts'
import { inputsOf, type JobNode } from './job-graph.ts'

export class NodeList {
  readonly nodes: JobNode[] = []
  readonly #behind = new WeakMap<object, JobNode>()
  #isSealed = false

  /** What is added from now on would be missing in the plan. */
  seal(): void {
    this.#isSealed = true
  }

  add<Node extends JobNode>(node: Node): Node {
    if (this.#isSealed)
      throw new TerminalError(`operator "${node.id}" is added after build has returned`, {
        code: 'SLUICE_GRAPH_INVALID',
      })
    assert(
      inputsOf(node).every((input) => this.find(input) !== undefined),
      () => `node "${node.id}" reads what is not declared before it`,
    )
    this.nodes.push(node)
    return node
  }

  find(id: string): JobNode | undefined {
    return this.nodes.find((node) => node.id === id)
  }

  /** @throws TerminalError unless `id` is a name that no other node has */
  newId(kind: JobNode['kind'], id: string): OperatorId {
    const parsed = parseOperatorId(id)
    const other = this.find(parsed)
    if (other === undefined) return parsed
    throw new TerminalError(
      `${kind} "${id}" has the id of ${other.kind} "${other.id}"; ids must be unique, as state and positions are found by them`,
      { code: 'SLUICE_ID_TAKEN' },
    )
  }

  /** `<input>.<word>-<n>`: the n-th of its kind that reads `input` first. */
  derivedId(kind: JobNode['kind'], word: string, input: OperatorId): OperatorId {
    const count = this.nodes.filter((node) => node.kind === kind && inputsOf(node)[0] === input).length
    return this.newId(kind, `${input}.${word}-${count + 1}`)
  }

  /** `stream` is how a job names `node`. */
  register(stream: object, node: JobNode): void {
    this.#behind.set(stream, node)
  }

  /** @throws TerminalError for what is no stream, or one of another build; `what` says where it was given */
  behind(stream: unknown, what: string): JobNode {
    if (typeof stream !== 'object' || stream === null) {
      throw new TerminalError(`${what} is ${stream === null ? 'null' : `a ${typeof stream}`}, not a stream`, {
        code: 'SLUICE_GRAPH_INVALID',
      })
    }
    const node = this.#behind.get(stream)
    if (node !== undefined) return node
    throw new TerminalError(`${what} is no stream of this flow; use those that come from the flow build was given`, {
      code: 'SLUICE_GRAPH_INVALID',
    })
  }
}

/** For messages: derived ids mean little to who did not give them. */
export function describe(node: JobNode): string {
  switch (node.kind) {
    case 'keyBy':
    case 'rebalance':
    case 'broadcast':
      return `the ${node.kind} behind "${node.input}"`
    case 'union':
      return `the union of ${node.inputs.map((input) => `"${input}"`).join(', ')}`
    case 'side':
      return `side output "${node.output}" of "${node.input}"`
    default:
      return `${node.kind} "${node.id}"`
  }
}

/**
 * Records with a key are only for operators with keyed state; broadcast ones only for the second input of a `connect`.
 * @throws TerminalError naming both
 */
export function refuseReader(reader: string, input: JobNode): void {
  if (input.kind === 'keyBy') {
    throw new TerminalError(`${reader} cannot read ${describe(input)}: only .process(…) and .connect(…) can`, {
      code: 'SLUICE_GRAPH_INVALID',
    })
  }
  if (input.kind === 'broadcast') {
    throw new TerminalError(`${reader} cannot read ${describe(input)}: connect it, as in other.connect(broadcast)`, {
      code: 'SLUICE_GRAPH_INVALID',
    })
  }
}
