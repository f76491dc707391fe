/**
 * One step of a process of the protocol's model: operations are taken one at a time, in any interleaving with other processes'. What
 * to do next is decided by engine/checkpoint, and by nothing else, unless a mutant says so.
 */
import { unreachable } from '../../../engine/api/index.ts'
import { decideAppend, waymarkBefore } from '../../../engine/checkpoint/append.ts'
import { permitForCompleted, permitForRecovered, permitToAbort } from '../../../engine/checkpoint/commit-permit.ts'
import { startSearch, type SearchStep } from '../../../engine/checkpoint/find-newest.ts'
import { recoverySteps, type RecoveryStep } from '../../../engine/checkpoint/recovery.ts'
import { chooseRetained, deletableBlobs, isCleanable } from '../../../engine/checkpoint/retention.ts'
import { decideAfterStarted, markAfterStart } from '../../../engine/checkpoint/start.ts'
import { isDebris } from '../../../engine/checkpoint/sweep.ts'
import {
  abortItem,
  asLogEntry,
  asManifest,
  assertActing,
  breach,
  checkEnd,
  commitItem,
  createEntry,
  deleteBlob,
  type Checkpoint,
  type Entry,
  type World,
} from './world.ts'
import type { Operation, Process, Rules, Twist } from './process.ts'

/** Takes the first operation of the queue, and all after it that nobody else could see or hinder: they need no interleaving. */
export function step(world: World, by: Process, rules: Rules, twist: Twist): void {
  take(world, by, rules, twist)
  while (isPrivate(world, by, rules)) take(world, by, rules, 'plain')
}

function isPrivate(world: World, by: Process, { distance }: Rules): boolean {
  const [operation] = by.todo
  switch (operation?.kind) {
    case 'begin':
    case 'append-committed':
    case 'restore':
    case 'upload':
    case 'complete':
    case 'note':
    case 'end':
      return true
    case 'mark':
      return world.marks.includes(operation.number)
    case 'retire':
      return by.retired.length === 0
    case 'clean':
      return !Object.values(world.log).some(({ seq, kind }) =>
        isCleanable(seq, kind, Math.max(0, ...world.marks), distance),
      )
    case undefined:
    case 'probe':
    case 'read':
    case 'create':
    case 'look':
    case 'commit':
    case 'abort':
    case 'sweep':
    case 'prepare':
      return false
    default:
      return unreachable(operation)
  }
}

function take(world: World, by: Process, rules: Rules, twist: Twist): void {
  const operation = by.todo.shift()
  if (operation === undefined) return
  switch (operation.kind) {
    case 'probe':
      return probe(world, by, rules)
    case 'read':
      return read(world, by, rules)
    case 'begin':
      return begin(by, operation.onTopOf, rules)
    case 'mark':
      if (!world.marks.includes(operation.number)) world.marks.push(operation.number)
      return
    case 'create':
      return create(world, by, operation.entry, { rules, twist })
    case 'look':
      return look(world, by, rules)
    case 'commit':
      return commit(world, by, operation)
    case 'abort':
      return abort(world, by, rules)
    case 'sweep':
      return sweep(world, by, rules)
    case 'append-committed':
      return append(by, { ...own(by), kind: 'committed', through: operation.through }, rules)
    case 'restore':
      return restore(by, operation.checkpoint, rules)
    case 'prepare':
      return prepare(world, by, rules, twist)
    case 'upload':
      world.blobs.push(blobOf(by))
      return
    case 'complete':
      return complete(by, rules)
    case 'retire':
      return retire(world, by)
    case 'clean':
      return clean(world, by, rules)
    case 'note':
      return append(by, { ...own(by), kind: 'committed', through: by.committedThrough }, rules)
    case 'end':
      if (world.history.length === own(by).seq) checkEnd(world, rules.sinks)
      return
    default:
      unreachable(operation)
  }
}

function probe(world: World, by: Process, { distance }: Rules): void {
  const ask = (at: SearchStep): SearchStep =>
    by.answers.reduce((to, answer) => (to.kind === 'found' ? to : to.next(answer)), at)
  if (by.answers.length === 0) by.searchedAt = world.history.length
  const now = ask(startSearch(distance))
  if (now.kind === 'found') {
    by.todo.push(now.seq === 0 ? { kind: 'begin', onTopOf: null } : { kind: 'read' })
    return
  }
  by.answers.push(now.kind === 'probe-mark' ? world.marks.includes(now.number) : world.log[now.number] !== undefined)
  by.todo.push({ kind: 'probe' })
}

function read(world: World, by: Process, { distance, mutant }: Rules): void {
  const found = by.answers.reduce<SearchStep>(
    (to, answer) => (to.kind === 'found' ? to : to.next(answer)),
    startSearch(distance),
  )
  const entry = found.kind === 'found' ? world.log[found.seq] : undefined
  by.answers = []
  if (entry === undefined) {
    by.todo.push({ kind: 'probe' })
    return
  }
  by.view = entry
  if (mutant === 'abort before fence') by.todo.push({ kind: 'abort' })
  by.todo.push({ kind: 'begin', onTopOf: entry })
}

function begin(by: Process, onTopOf: Entry | null, rules: Rules): void {
  const before = onTopOf ?? { seq: 0, generation: 0, retained: [], through: 0, next: 1 }
  const { retained, through, next } = before
  append(
    by,
    { seq: before.seq, kind: 'started', generation: before.generation + 1, nonce: '', retained, through, next },
    rules,
  )
}

/** The entry under the number after `entry.seq`, after the waymark that may be due. */
function append(by: Process, entry: Entry, { distance }: Rules): void {
  const seq = entry.seq + 1
  const mark = waymarkBefore(seq, distance)
  const creating: Operation = { kind: 'create', entry: { ...entry, seq, nonce: `${by.id}:${seq}` } }
  by.todo.unshift(...(mark === undefined ? [] : [{ kind: 'mark', number: mark } as const]), creating)
}

function create(world: World, by: Process, entry: Entry, { rules, twist }: { rules: Rules; twist: Twist }): void {
  const answer = createEntry(world, by, entry)
  const newest = entry.kind === 'completed' ? entry.retained.at(-1) : undefined
  const found = answer === 'exists' ? world.log[entry.seq] : undefined
  const unclear = twist === 'lost-reply'
  if (unclear) world.lostReplies -= 1
  const decision = decideAppend({
    answer: unclear ? 'unclear' : answer,
    ours: asLogEntry(entry),
    found: found === undefined ? undefined : asLogEntry(found),
  })
  switch (decision.kind) {
    case 'appended':
      by.view = entry
      if (newest !== undefined) permitForCompleted(asLogEntry(entry), asManifest(newest))
      if (entry.kind === 'started') by.todo.push({ kind: 'look' })
      return
    case 'ask-again':
      if (rules.mutant !== 'take a lost reply for a failure') by.todo.unshift({ kind: 'create', entry })
      else if (entry.kind === 'completed') by.todo = [{ kind: 'abort' }, { kind: 'prepare' }]
      else append(by, entry, rules)
      return
    case 'try-next':
      by.view = found ?? null
      by.todo.unshift({ kind: 'begin', onTopOf: by.view })
      return
    case 'fenced':
    case 'in-doubt':
      by.todo = []
      return
    default:
      unreachable(decision)
  }
}

function look(world: World, by: Process, rules: Rules): void {
  const started = own(by)
  const markExists =
    rules.mutant !== 'skip the mark look after start' &&
    world.marks.includes(markAfterStart(started.seq, rules.distance))
  const decision = decideAfterStarted({ started, markExists, preflightSeq: started.seq - 1 })
  const isDisturbed = by.searchedAt < world.history.length - (by.isStale ? 0 : 1)
  breach(decision.kind !== 'fenced' || isDisturbed, () => 'liveness: an undisturbed start is fenced')
  by.todo =
    decision.kind === 'fenced'
      ? []
      : recoverySteps(asLogEntry(started), 'latest').flatMap((one) => planned(one, started, rules))
  if (rules.mutant === 'abort before commit') by.todo = [{ kind: 'abort' }, ...by.todo]
}

function planned(recovery: RecoveryStep, { retained }: Entry, { sinks, epochs }: Rules): readonly Operation[] {
  switch (recovery.kind) {
    case 'commit':
      return commits(
        retained.filter((one) => one.id === recovery.checkpoint),
        { sinks, recovered: true },
      )
    case 'append-committed':
      return [{ kind: 'append-committed', through: recovery.through }]
    case 'abort-stale':
      return [{ kind: 'abort' }]
    case 'sweep':
      return [{ kind: 'sweep' }]
    case 'restore':
      return recovery.checkpoint === 'imported' ? [] : [{ kind: 'restore', checkpoint: recovery.checkpoint }]
    case 'run':
      return [
        ...Array.from({ length: epochs }, () => ({ kind: 'prepare' }) as const),
        { kind: 'note' },
        { kind: 'end' },
      ]
    // The model's sinks keep no evidence, its jobs have no last checkpoint and are not begun from elsewhere.
    case 'forget':
    case 'import':
    case 'append-ended':
      return []
    default:
      return unreachable(recovery)
  }
}

function commits(checkpoints: readonly Checkpoint[], how: { sinks: number; recovered: boolean }): readonly Operation[] {
  return checkpoints.flatMap((checkpoint) =>
    Array.from(
      { length: how.sinks },
      (_, sink) => ({ kind: 'commit', checkpoint, sink, recovered: how.recovered }) as const,
    ),
  )
}

function commit(world: World, by: Process, operation: Extract<Operation, { kind: 'commit' }>): void {
  const { checkpoint, sink, recovered } = operation
  if (recovered) permitForRecovered(asLogEntry(own(by)), asManifest(checkpoint))
  for (const name of checkpoint.names) if (world.items[name]?.sink === sink) commitItem(world, by, name)
  if (!recovered) by.committedThrough = checkpoint.id
}

function abort(world: World, by: Process, { mutant }: Rules): void {
  const entry = own(by)
  const isEarly =
    mutant === 'abort before fence' || mutant === 'abort before commit' || mutant === 'take a lost reply for a failure'
  if (!isEarly) permitToAbort(asLogEntry(entry))
  const kept =
    mutant === 'abort before commit' ? entry.retained.filter((one) => one.id <= entry.through) : entry.retained
  const keep = new Set(kept.flatMap((one) => one.names))
  const below = isEarly ? entry.generation + 1 : entry.generation
  for (const [name, item] of Object.entries(world.items)) {
    if (item.state !== 'prepared' || keep.has(name)) continue
    if (mutant === 'abort without asking for generations' || item.generation < below) abortItem(world, by, name)
  }
}

function sweep(world: World, by: Process, { mutant }: Rules): void {
  const { generation, retained } = own(by)
  const referred = new Set(retained.map((one) => one.blob))
  for (const key of world.blobs) {
    const owner = mutant === 'sweep by list without generation' ? 0 : Number(key.split('/')[0])
    if (isDebris({ key, owner, sweeper: generation, referred })) deleteBlob(world, by, key)
  }
}

function restore(by: Process, checkpoint: number | null, { mutant }: Rules): void {
  const { retained, through, next } = own(by)
  const chosen = mutant === 'fall back to older' ? retained.at(-2) : retained.find((one) => one.id === checkpoint)
  by.position = chosen?.position ?? 0
  by.committedThrough = through
  by.next = next
}

function prepare(world: World, by: Process, rules: Rules, twist: Twist): void {
  assertActing(by, 'prepare')
  const { generation } = own(by)
  by.counter += 1
  for (let sink = 0; sink < rules.sinks; sink += 1) {
    const name = `${generation}.${sink}.${by.counter}`
    breach(world.items[name] === undefined, () => `C5: the external name ${name} is used twice`)
    world.items[name] = { sink, record: by.position, generation, state: 'prepared' }
    by.carried.push(name)
  }
  by.position += 1
  if (twist === 'decline') {
    world.declines -= 1
    by.next += 1
    if (rules.mutant === 'an abandoned epoch is not carried') by.carried = []
    return
  }
  by.todo.unshift({ kind: 'upload' }, { kind: 'complete' })
}

function complete(by: Process, rules: Rules): void {
  const newest = own(by)
  const { generation } = newest
  const mine: Checkpoint = { id: by.next, generation, position: by.position, names: by.carried, blob: blobOf(by) }
  const through = rules.mutant === 'retain without looking at commits' ? by.next : by.committedThrough
  const { retained } = chooseRetained(
    [...newest.retained, mine].map((one) => ({ ...one, checkpoint: one.id })),
    rules.keep,
    through,
  )
  by.next += 1
  const kept = retained.map(({ checkpoint: _, ...one }) => one)
  by.carried = []
  by.retired.push(...newest.retained.filter((one) => !kept.some(({ id }) => id === one.id)))
  const after: Operation[] = [
    ...commits([mine], { sinks: rules.sinks, recovered: false }),
    { kind: 'retire' },
    { kind: 'clean' },
  ]
  const isEarly = rules.mutant === 'commit before completion'
  const noteAt = by.todo.findIndex((one) => one.kind === 'note')
  if (!isEarly) by.todo.splice(rules.overlap ? noteAt : 0, 0, ...after)
  append(by, { ...newest, kind: 'completed', retained: kept, through: by.committedThrough, next: by.next }, rules)
  if (isEarly) by.todo.unshift(...after)
}

function retire(world: World, by: Process): void {
  const stored = (one: Checkpoint) => ({ manifest: asManifest(one), manifestKey: undefined })
  for (const key of deletableBlobs(by.retired.map(stored), own(by).retained.map(stored))) deleteBlob(world, by, key)
  by.retired = []
}

function clean(world: World, _by: Process, { distance, mutant }: Rules): void {
  const newestMark = Math.max(0, ...world.marks)
  for (const entry of Object.values(world.log)) {
    const kind = mutant === 'clean started entries' ? 'alive' : entry.kind
    if (isCleanable(entry.seq, kind, newestMark, distance)) delete world.log[entry.seq]
  }
}

function blobOf(by: Process): string {
  return `${own(by).generation}/${by.id}-${by.counter}`
}

function own(by: Process): Entry {
  breach(by.view !== null, () => 'a process acts before it has an entry')
  return by.view
}
