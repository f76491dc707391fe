/** From nodes to tasks: what is chained, what is exchanged, and that nothing else follows than the graph and the parallelism say. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { broadcastMap, sideOutput, type Flow } from '../../engine/index.ts'
import { inputsOf, isOperator, type JobNode, type OperatorNode } from '../../engine/graph/job-graph.ts'
import { connectionsOf, taskGraphOf, type TaskGraph } from '../../engine/graph/task-graph.ts'
import { nodesOf } from './build.ts'
import { sink, source } from './connectors.ts'
import { build, jobRecipe } from './random-job.ts'

const late = sideOutput<number>('late')
const nothing = (): void => undefined
const one = (value: number): number => value

/** As `[operators] x parallelism` and `from -> to: way`, in order. */
function shown({ vertices, exchanges }: TaskGraph): readonly string[] {
  return [
    ...vertices.map(({ operators, parallelism }) => `[${operators.join(' ')}] x ${parallelism}`),
    ...exchanges.map(
      ({ from, side, to, port, partition }) =>
        `${from}${side === undefined ? '' : `.${side}`} -> ${to}${port === 0 ? '' : ' (second)'}: ${partition.kind}`,
    ),
  ]
}

function tasksOf(declare: (flow: Flow) => void, parallelism: number): readonly string[] {
  return shown(taskGraphOf(nodesOf(declare), parallelism))
}

describe('examples', () => {
  const totals = (flow: Flow): void =>
    flow
      .source('in', source<number>())
      .map('map', one)
      .keyBy(one)
      .process('sum', { onRecord: nothing })
      .sink('out', sink())

  test('a keyed edge is part of the chain at parallelism 1, and an exchange at 2', () => {
    expect(tasksOf(totals, 1)).toEqual(['[in map sum out] x 1'])
    expect(tasksOf(totals, 2)).toEqual(['[in map] x 2', '[sum out] x 2', 'map -> sum: key'])
    const [exchange] = taskGraphOf(nodesOf(totals), 2).exchanges
    expect(exchange).toEqual({
      index: 0,
      from: 'map',
      to: 'sum',
      port: 0,
      partition: { kind: 'key', keyBy: 'map.key-1' },
      fromVertex: 'in',
      toVertex: 'sum',
    })
  })

  test('a union of two sources begins a vertex, also at parallelism 1', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>()).map('map', one)
      a.union(flow.source('b', source<number>()))
        .filter('filter', () => true)
        .sink('out', sink())
    }
    expect(tasksOf(declare, 1)).toEqual([
      '[a map] x 1',
      '[b] x 1',
      '[filter out] x 1',
      'map -> filter: forward',
      'b -> filter: forward',
    ])
    expect(tasksOf(declare, 3)).toEqual([
      '[a map] x 3',
      '[b] x 3',
      '[filter out] x 3',
      'map -> filter: forward',
      'b -> filter: forward',
    ])
  })

  test('a diamond is one chain, as a union and as a connect', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      const left = a.map('left', one)
      const right = a.map('right', one)
      left.union(right).sink('union', sink())
      left.connect(right).process('connect', { onFirst: nothing, onSecond: nothing }).sink('out', sink())
    }
    expect(tasksOf(declare, 2)).toEqual(['[a left right union connect out] x 2'])
  })

  test('a diamond with a keyed side is a vertex of its own at parallelism 2', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      const sum = a.keyBy(one).process('sum', { onRecord: nothing })
      a.union(sum).sink('out', sink<unknown>())
    }
    expect(tasksOf(declare, 1)).toEqual(['[a sum out] x 1'])
    expect(tasksOf(declare, 2)).toEqual([
      '[a] x 2',
      '[sum] x 2',
      '[out] x 2',
      'a -> sum: key',
      'a -> out: forward',
      'sum -> out: forward',
    ])
  })

  test('forward between unequal numbers of subtasks stays forward: order is kept', () => {
    const declare = (flow: Flow): void =>
      flow.source('a', source<number>(), { parallelism: 1 }).map('map', one).sink('out', sink(), { parallelism: 1 })
    expect(tasksOf(declare, 1)).toEqual(['[a map out] x 1'])
    expect(tasksOf(declare, 4)).toEqual([
      '[a] x 1',
      '[map] x 4',
      '[out] x 1',
      'a -> map: forward',
      'map -> out: forward',
    ])
  })

  test('rebalance and broadcast are exchanges, unless there is one subtask', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      a.rebalance()
        .connect(a.broadcast())
        .process('c', { broadcast: { r: broadcastMap() }, onRecord: nothing, onBroadcast: nothing })
        .sink('out', sink())
    }
    expect(tasksOf(declare, 1)).toEqual(['[a c out] x 1'])
    expect(tasksOf(declare, 2)).toEqual(['[a] x 2', '[c out] x 2', 'a -> c: rebalance', 'a -> c (second): broadcast'])
  })

  test('of several ways to deal records out, the last one before the reader counts', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      a.rebalance().keyBy(one).process('keyed', { onRecord: nothing }).sink('s1', sink())
      a.rebalance().union(a.map('map', one)).sink('s2', sink())
    }
    expect(tasksOf(declare, 2)).toEqual([
      '[a map] x 2',
      '[keyed s1] x 2',
      '[s2] x 2',
      'a -> keyed: key',
      'a -> s2: rebalance',
      'map -> s2: forward',
    ])
  })

  test('a side output is exchanged by its name, and chained like any other', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      a.sink('out', sink())
      a.side(late).sink('late', sink())
      a.side(late).rebalance().sink('spread', sink())
    }
    expect(tasksOf(declare, 2)).toEqual(['[a out late] x 2', '[spread] x 2', 'a.late -> spread: rebalance'])
  })

  test('both inputs of a keyed connect are exchanges by their own keys', () => {
    const declare = (flow: Flow): void => {
      const a = flow.source('a', source<number>())
      const b = flow.source('b', source<number>())
      a.keyBy(one).connect(b.keyBy(one)).process('c', { onFirst: nothing, onSecond: nothing }).sink('out', sink())
    }
    const { exchanges } = taskGraphOf(nodesOf(declare), 2)
    expect(exchanges.map(({ port, partition }) => [port, partition])).toEqual([
      [0, { kind: 'key', keyBy: 'a.key-1' }],
      [1, { kind: 'key', keyBy: 'b.key-1' }],
    ])
  })
})

describe('any graph', () => {
  const recipe = fc.record({ recipe: jobRecipe, parallelism: fc.integer({ min: 1, max: 4 }) })
  const always = (check: (nodes: readonly JobNode[], tasks: TaskGraph, parallelism: number) => void): void => {
    fc.assert(
      fc.property(recipe, (drawn) => {
        const nodes = nodesOf((flow) => build(flow, drawn.recipe))
        check(nodes, taskGraphOf(nodes, drawn.parallelism), drawn.parallelism)
      }),
      { numRuns: 300 },
    )
  }

  test('has each operator in exactly one vertex, at its own parallelism, in the order of declaration', () => {
    always((nodes, { vertices }, parallelism) => {
      const operators = nodes.filter(isOperator)
      const order = new Map(operators.map(({ id }, index) => [id as string, index]))
      const placed = vertices.flatMap((vertex) => vertex.operators)
      expect(placed.toSorted()).toEqual(operators.map(({ id }) => id).toSorted())
      const places = (ids: readonly string[]): readonly (number | undefined)[] => ids.map((id) => order.get(id))
      const ascending = (list: readonly (number | undefined)[]): void =>
        expect(list).toEqual(list.toSorted((a, b) => (a ?? 0) - (b ?? 0)))
      ascending(places(vertices.map(({ id }) => id)))
      for (const vertex of vertices) {
        expect(vertex.operators[0]).toBe(vertex.id)
        ascending(places(vertex.operators))
        for (const id of vertex.operators) {
          const { parallelism: own = parallelism } = operators.find((node) => node.id === id) as OperatorNode
          expect(own).toBe(vertex.parallelism)
        }
      }
    })
  })

  test('has an exchange for each connection that leaves a vertex, in order, and no other', () => {
    always((nodes, { vertices, exchanges }) => {
      const vertexOf = vertexIndex(vertices)
      const crossing = connectionsOf(nodes).filter(({ from, to }) => vertexOf(from) !== vertexOf(to))
      expect(exchanges.map(({ from, side, to, port }) => ({ from, side, to, port }))).toEqual(
        crossing.map(({ from, side, to, port }) => ({ from, side, to, port })),
      )
      for (const [index, exchange] of exchanges.entries()) {
        expect(exchange.index).toBe(index)
        const from = vertices[vertexOf(exchange.from)]
        const to = vertices[vertexOf(exchange.to)]
        expect([exchange.fromVertex, exchange.toVertex]).toEqual([from?.id, to?.id])
        // Only the first operator of a vertex reads from others, so the vertices have no cycle.
        expect(exchange.to).toBe(to?.id)
        expect(vertexOf(exchange.from)).toBeLessThan(vertexOf(exchange.to))
        expect(exchange.partition).toEqual(crossing[index]?.partition)
      }
    })
  })

  test('chains what can be chained, and nothing that a record would have to leave its subtask for', () => {
    always((nodes, { vertices }) => {
      const vertexOf = vertexIndex(vertices)
      const connections = connectionsOf(nodes)
      for (const vertex of vertices) {
        for (const id of vertex.operators) {
          const inputs = connections.filter(({ to }) => to === id)
          const places = new Set(inputs.map(({ from }) => vertexOf(from)))
          const [place] = places
          const before = place === undefined ? undefined : vertices[place]
          const canChain =
            places.size === 1 &&
            before?.parallelism === vertex.parallelism &&
            (vertex.parallelism === 1 || inputs.every(({ partition }) => partition.kind === 'forward'))
          expect(before === vertex).toBe(canChain)
          expect(canChain || id === vertex.id).toBe(true)
        }
      }
    })
  })

  test('has a connection from an operator to another for each way between them', () => {
    always((nodes) => {
      const byId = new Map(nodes.map((node) => [node.id as string, node]))
      /** By walking, not by resolving: how many ways lead from operators to this input. */
      const waysTo = (id: string): number => {
        const node = byId.get(id)
        if (node === undefined) throw new Error(`${id} is not there`)
        if (isOperator(node) || node.kind === 'side') return 1
        return inputsOf(node).reduce((sum, input) => sum + waysTo(input), 0)
      }
      const connections = connectionsOf(nodes)
      for (const node of nodes.filter(isOperator)) {
        for (const [port, input] of inputsOf(node).entries()) {
          const found = connections.filter((connection) => connection.to === node.id && connection.port === port)
          expect(found).toHaveLength(waysTo(input))
          const partitions = found.map(({ partition }) => partition)
          const kind = byId.get(input)?.kind
          const asked = kind === 'keyBy' ? { kind: 'key', keyBy: input } : { kind }
          const isAsked = kind === 'keyBy' || kind === 'rebalance' || kind === 'broadcast'
          expect(partitions).toEqual(isAsked ? found.map(() => asked) : partitions)
        }
      }
    })
  })

  test('gives the same tasks each time it is built', () => {
    fc.assert(
      fc.property(recipe, (drawn) => {
        const once = (): TaskGraph =>
          taskGraphOf(
            nodesOf((flow) => build(flow, drawn.recipe)),
            drawn.parallelism,
          )
        expect(once()).toEqual(once())
      }),
      { numRuns: 100 },
    )
  })

  test('is one vertex at parallelism 1 where it has one source and nobody names another number', () => {
    fc.assert(
      fc.property(jobRecipe, (drawn) => {
        const plain = drawn.map((step) => ({ ...step, parallelism: undefined }))
        const nodes = nodesOf((flow) =>
          build(
            flow,
            plain.filter(({ kind }) => kind !== 'source'),
          ),
        )
        expect(taskGraphOf(nodes, 1).vertices).toHaveLength(1)
      }),
      { numRuns: 100 },
    )
  })
})

function vertexIndex(vertices: TaskGraph['vertices']): (operator: string) => number {
  const indexes = new Map(vertices.flatMap(({ operators }, index) => operators.map((id) => [id as string, index])))
  return (operator) => {
    const index = indexes.get(operator)
    if (index === undefined) throw new Error(`operator ${operator} is in no vertex`)
    return index
  }
}
