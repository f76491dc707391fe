/**
 * The job under simulation: two sources of several splits, exchanges of every kind, two inputs, operator and broadcast state, a side output,
 * sinks behind an exchange and chained on a source, closing output; and what one uninterrupted run of it shows.
 */
import { sideOutput } from '../../engine/api/index.ts'
import { broadcastMap, splitList, value } from '../../engine/graph/descriptors.ts'
import { defineJob, type JobDefinition } from '../../engine/graph/define-job.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { entriesIn, heldBy, positionsIn } from './cut.ts'
import { seeded } from './virtual-time.ts'
import type { Connectors, Subject, World } from './world.ts'

interface Event {
  readonly split: string
  readonly index: number
}

const KEYS_PER_SPLIT = 2
const SHARED_KEYS = 3
const LENGTHS = { a: [9, 5, 6], b: [5, 3] } as const
const odd = sideOutput<readonly [key: string, index: number]>('odd')
const THE_END = 'the end'

const keyOf = ({ split, index }: Event): string => `${split}.${index % KEYS_PER_SPLIT}`
const sharedOf = ({ index }: Event): number => index % SHARED_KEYS
const nameOf = ({ split, index }: Event): string => `${split}.${index}`

function splitsOf(source: keyof typeof LENGTHS): readonly (readonly Event[])[] {
  return LENGTHS[source].map((length, number) =>
    Array.from({ length }, (_, index): Event => ({ split: `${source}${number}`, index })),
  )
}

/** `seed` says which operators have a parallelism of their own, and which. */
export function parallelJob(seed: number): Subject {
  return { job: (connectors) => definition(seed, connectors), compare, onCompleted }
}

function definition(seed: number, { source, sink }: Connectors): JobDefinition {
  return defineJob({
    id: 'job',
    build(flow) {
      const random = seeded(seed)
      const own = (): { parallelism?: number } => (random() < 0.2 ? { parallelism: 1 + Math.floor(random() * 4) } : {})
      const a = flow.source('a', source(...splitsOf('a')), own())
      const b = flow.source('b', source(...splitsOf('b')), own())
      a.sink('direct', sink())
      const both = a.union(b)
      both
        .rebalance()
        .process(
          'seen',
          {
            state: { names: splitList<string>() },
            onRecord(event, { state, emit }) {
              state.names.add(nameOf(event))
              emit(event)
            },
          },
          own(),
        )
        .sink('plain', sink())
      const ordered = both.keyBy(keyOf).process(
        'ordered',
        {
          state: { count: value(() => 0) },
          onRecord(event, { state, key, emit, emitTo }) {
            const count = state.count.get() + 1
            state.count.set(count)
            emit([key, event.index, count] as const)
            if (event.index % 2 === 1) emitTo(odd, [key, event.index])
          },
          onEnd: ({ emit }) => emit(THE_END),
        },
        own(),
      )
      ordered.sink('in-order', sink(), own())
      ordered.side(odd).sink('odd', sink(), own())
      a.keyBy(sharedOf)
        .connect(b.keyBy(sharedOf))
        .process(
          'joined',
          {
            state: { a: value(() => 0), b: value(() => 0) },
            onFirst(_event, { state, key, emit }) {
              state.a.set(state.a.get() + 1)
              emit(`a ${key} ${state.a.get()}`)
            },
            onSecond(_event, { state, key, emit }) {
              state.b.set(state.b.get() + 1)
              emit(`b ${key} ${state.b.get()}`)
            },
          },
          own(),
        )
        .sink('joined-out', sink())
      a.connect(b.broadcast())
        .process(
          'ruled',
          {
            broadcast: { rules: broadcastMap<string, number>() },
            onRecord: (event, { emit, broadcast }) => emit([nameOf(event), broadcast.rules.get('b0') ?? -1] as const),
            onBroadcast: (event, { broadcast }) => broadcast.rules.set(event.split, event.index),
          },
          own(),
        )
        .sink('ruled-out', sink())
    },
  })
}

const A = splitsOf('a').flat()
const B = splitsOf('b').flat()
const ALL = [...A, ...B]

/** Each once, in order per key, and no more than there is. */
function compare(world: World, isOver: boolean): void {
  const last = world.truth.manifests().at(-1)
  const isIn = world.isDrained && last !== undefined ? isBehind(last) : () => true
  check(world, (sink) => world.services.get(sink)?.visible ?? [], isOver ? { isIn, isEnd: true } : undefined)
}

/** What a checkpoint holds is what the records before its positions cause, no more and no less (T2). */
function onCompleted(world: World, manifest: Manifest): void {
  const { truth } = world
  const isBefore = isBehind(manifest)
  const isFinal = manifest.operators.every(({ ended }) => ended)
  check(world, (sink) => heldBy(world.serviceOf(sink), truth), {
    isIn: isBefore,
    isEnd: isFinal || ALL.every(isBefore),
  })
  for (const [source, splits] of [
    ['a', A],
    ['b', B],
  ] as const) {
    const hasEnded = manifest.operators.some(({ operator, ended }) => operator === source && ended)
    const isWhole = isFinal || !hasEnded || splits.every(isBefore)
    truth.expect(isWhole, () => `${manifest.checkpoint} holds the end of ${source}, and not all of its records (C4)`)
  }
  const { checkpoint } = manifest
  const entries = entriesIn(manifest, truth, { operator: 'seen', state: 'names' }).map(String)
  sameTexts(world, `entries of state in ${checkpoint}`, entries, ALL.filter(isBefore).map(nameOf))
  const rules = entriesIn(manifest, truth, { operator: 'ruled', state: 'rules' }).map(String)
  const newest = [...positionsIn(manifest, 'b')].filter(([, position]) => position > 0)
  const expected = newest.map(([split, position]) => `${split},${position - 1}`)
  sameTexts(world, `rules in ${checkpoint}`, rules, expected)
}

/** Are these the records before its positions? */
function isBehind(manifest: Manifest): (event: Event) => boolean {
  const positions = new Map([...positionsIn(manifest, 'a'), ...positionsIn(manifest, 'b')])
  return ({ split, index }) => index < (positions.get(split) ?? 0)
}

interface Whole {
  /** These records are there, and no others. */
  readonly isIn: (event: Event) => boolean
  /** So closing output may be there. */
  readonly isEnd: boolean
}

/** `whole` left out: some are. */
function check(world: World, see: (sink: string) => readonly unknown[], whole?: Whole): void {
  const { truth } = world
  const isIn = whole?.isIn
  const once = (
    sink: string,
    seen: readonly string[],
    of: readonly Event[],
    textOf: (event: Event) => string,
  ): void => {
    truth.expect(new Set(seen).size === seen.length, () => `${sink} has a record twice: ${seen.join(' ')} (C2)`)
    if (isIn !== undefined) return sameTexts(world, sink, seen, of.filter(isIn).map(textOf))
    const all = new Set(of.map(textOf))
    truth.expect(
      seen.every((one) => all.has(one)),
      () => `${sink} has what there is not: ${seen.join(' ')}`,
    )
  }
  const direct = see('direct') as readonly Event[]
  once('direct', direct.map(nameOf), A, nameOf)
  inOrder(world, 'direct', direct)
  once('plain', (see('plain') as readonly Event[]).map(nameOf), ALL, nameOf)
  once(
    'odd',
    see('odd').map(String),
    ALL.filter(({ index }) => index % 2 === 1),
    (one) => `${keyOf(one)},${one.index}`,
  )
  once(
    'ruled-out',
    (see('ruled-out') as readonly [string][]).map(([name]) => name),
    A,
    nameOf,
  )
  const ordered = see('in-order')
  const ends = ordered.filter((one) => one === THE_END).length
  truth.expect(ends <= 1, () => `the closing output is there ${ends} times (F24)`)
  if (whole?.isEnd === false) truth.expect(ends === 0, () => 'the closing output is there before the end (F24)')
  const counted = ordered.filter((one) => one !== THE_END).map(String)
  once('in-order', counted, ALL, (one) => `${keyOf(one)},${one.index},${Math.floor(one.index / KEYS_PER_SPLIT) + 1}`)
  numbered(
    world,
    'in-order',
    counted.map((one) => one.split(',')).map(([key, , count]) => [key ?? '', Number(count)]),
  )
  const joined = see('joined-out').map((one) => String(one).split(' '))
  numbered(
    world,
    'joined-out',
    joined.map(([from, key, count]) => [`${from} ${key}`, Number(count)]),
  )
  if (isIn !== undefined)
    truth.expect(joined.length === ALL.filter(isIn).length, () => `joined-out has ${joined.length}`)
}

/** Records of one split in their order. */
function inOrder({ truth }: World, sink: string, seen: readonly Event[]): void {
  numbered(
    { truth },
    sink,
    seen.map(({ split, index }) => [split, index + 1]),
  )
}

/** Of each key 1, 2, 3, … */
function numbered({ truth }: Pick<World, 'truth'>, sink: string, seen: readonly (readonly [string, number])[]): void {
  const counts = new Map<string, number>()
  for (const [key, number] of seen) {
    const expected = (counts.get(key) ?? 0) + 1
    truth.expect(number === expected, () => `${sink} has number ${number} of ${key} where ${expected} is next (C2, C4)`)
    counts.set(key, expected)
  }
}

function sameTexts({ truth }: World, what: string, seen: readonly string[], expected: readonly string[]): void {
  const isSame = seen.toSorted().join(' ') === expected.toSorted().join(' ')
  const missing = (): string => expected.filter((one) => !seen.includes(one)).join(' ')
  const extra = (): string => seen.filter((one) => !expected.includes(one)).join(' ')
  truth.expect(
    isSame,
    () => `${what}: ${seen.length} of ${expected.length}, missing ${missing()}, too much ${extra()} (T2)`,
  )
}
