/**
 * Walks every interleaving of a bounded number of processes, depth first, each distinct world once.
 */
import { newProcess, type Process, type Rules, type Twist } from './process.ts'
import { step } from './step.ts'
import { Violation, type World } from './world.ts'

export interface Bounds {
  readonly processes: number
  readonly lostReplies: number
  readonly declines: number
}

export interface Exploration {
  readonly worlds: number
  readonly violation: string | undefined
  /** How often what was to happen did happen, by name. */
  readonly seen: ReadonlyMap<string, number>
}

/** More is a model that has grown by mistake. */
const WORLDS_LIMIT = 2_000_000

export function explore(bounds: Bounds, rules: Rules): Exploration {
  const seen = new Map<string, number>()
  const textOf = worldTexts()
  const first = newWorld(bounds)
  const visited = new Set([textOf(first)])
  const stack = [first]
  for (let from = stack.pop(); from !== undefined; from = stack.pop()) {
    for (const [index, twist] of choices(from)) {
      const world = copy(from)
      const by = world.processes[index]
      if (by === undefined) continue
      try {
        count(seen, world, by)
        step(world, by, rules, twist)
      } catch (error) {
        return { worlds: visited.size, violation: describe(error), seen }
      }
      const text = textOf(world)
      if (visited.has(text)) continue
      visited.add(text)
      stack.push(world)
    }
    if (visited.size > WORLDS_LIMIT) throw new Error(`the model has more than ${WORLDS_LIMIT} worlds; bound it`)
  }
  return { worlds: visited.size, violation: undefined, seen }
}

function newWorld({ processes, lostReplies, declines }: Bounds): World {
  return {
    log: {},
    marks: [],
    blobs: [],
    items: {},
    history: [],
    completed: [],
    newestBlobs: [],
    newestPosition: 0,
    processes: Array.from({ length: processes }, (_, id) => newProcess(id)),
    lostReplies,
    declines,
  }
}

/** Entries, items, checkpoints and operations are never changed, only replaced: worlds share them. */
function copy(world: World): World {
  return {
    ...world,
    log: { ...world.log },
    marks: [...world.marks],
    blobs: [...world.blobs],
    items: { ...world.items },
    history: [...world.history],
    completed: [...world.completed],
    processes: world.processes.map((by) => ({
      ...by,
      todo: [...by.todo],
      answers: [...by.answers],
      carried: [...by.carried],
      retired: [...by.retired],
    })),
  }
}

/** One text for equal worlds; each shared part is spelled once and then goes by its number. */
function worldTexts(): (world: World) => string {
  const numbers = new Map<string, number>()
  const known = new WeakMap<object, number>()
  const numberOf = (part: object): number => {
    const before = known.get(part)
    if (before !== undefined) return before
    const text = JSON.stringify(part)
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    known.set(part, number)
    return number
  }
  const all = (parts: Iterable<object>): string => Array.from(parts, numberOf).join()
  const textOfProcess = (by: Process): string => {
    const view = by.view === null ? '' : numberOf(by.view)
    const flags = `${by.answers.map(Number).join('')};${by.searchedAt};${by.position};${by.counter};${by.next};${by.committedThrough}`
    return `${all(by.todo)};${view};${flags};${by.carried.join()};${all(by.retired)};${Number(by.isStale)}`
  }
  return (world) => {
    const log = `${Object.keys(world.log).join()};${all(Object.values(world.log))}`
    const items = `${Object.keys(world.items).join()};${all(Object.values(world.items))}`
    const rest = `${world.marks.join()};${world.blobs.join()};${world.completed.join()};${world.newestBlobs.join()};${world.newestPosition}`
    const budget = `${world.lostReplies};${world.declines}`
    return [log, items, all(world.history), rest, budget, ...world.processes.map(textOfProcess)].join('|')
  }
}

/** Who may go on, and how the world may answer. Processes are alike until their first step: they take it in the order of their ids. */
function choices(world: World): readonly (readonly [number, Twist])[] {
  return world.processes.flatMap((by, index): readonly (readonly [number, Twist])[] => {
    const [operation] = by.todo
    if (operation === undefined) return []
    const before = world.processes[index - 1]
    if (before !== undefined && isUntouched(by) && isUntouched(before)) return []
    const plain = [index, 'plain'] as const
    if (operation.kind === 'create' && world.lostReplies > 0) return [plain, [index, 'lost-reply']]
    if (operation.kind === 'prepare' && world.declines > 0) return [plain, [index, 'decline']]
    return [plain]
  })
}

function isUntouched(by: Process): boolean {
  return by.todo[0]?.kind === 'probe' && by.answers.length === 0
}

function count(seen: Map<string, number>, world: World, by: Process): void {
  const [operation] = by.todo
  if (operation === undefined) return
  const add = (name: string): void => void seen.set(name, (seen.get(name) ?? 0) + 1)
  add(operation.kind)
  if (operation.kind === 'create' && world.log[operation.entry.seq] !== undefined) add('create meets an entry')
  if (operation.kind === 'look' && by.isStale) add('stale start')
  if (
    operation.kind === 'commit' &&
    operation.checkpoint.names.some((name) => world.items[name]?.state === 'committed')
  )
    add('commit again')
}

/** Violations of the model, and assertions of the engine that a mutant ran into. */
function describe(error: unknown): string {
  if (error instanceof Violation) return error.message
  if (error instanceof Error && error.name === 'InvariantViolation') return error.message
  throw error
}
