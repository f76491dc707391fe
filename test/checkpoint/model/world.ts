/**
 * The outside of the protocol's model: the checkpoint log and its waymarks, blobs, sinks, and what nobody in the protocol can see: the
 * history of every entry ever created. Every effect is checked against that history at once; a breach throws Violation.
 *
 * A crash needs no event of its own: a process that is never scheduled again has crashed, or is paused for ever.
 */
import type { LogEntry, RetainedCheckpoint } from '../../../engine/checkpoint/log-entry.ts'
import type { Manifest } from '../../../engine/checkpoint/manifest.ts'
import { sampleEntry, sampleManifest, sampleOperator } from '../samples.ts'
import type { Process } from './process.ts'

export class Violation extends Error {
  override readonly name = 'Violation'
}

/** A completed checkpoint: the position after its epoch, the names its sinks prepared, its one blob. */
export interface Checkpoint {
  readonly id: number
  readonly generation: number
  readonly position: number
  readonly names: readonly string[]
  readonly blob: string
}

export interface Entry {
  readonly seq: number
  readonly kind: 'started' | 'completed' | 'committed'
  readonly generation: number
  readonly nonce: string
  readonly retained: readonly Checkpoint[]
  readonly through: number
  readonly next: number
}

/** One epoch's output at one sink: one record of one generation. */
export interface Item {
  readonly sink: number
  readonly record: number
  readonly generation: number
  readonly state: 'prepared' | 'committed' | 'aborted'
}

export interface World {
  log: Record<string, Entry>
  marks: number[]
  blobs: string[]
  items: Record<string, Item>
  /** By number, first creation only; never cleaned. */
  history: { readonly generation: number; readonly nonce: string; readonly checkpoint: number }[]
  /** Names that some completed checkpoint held. */
  completed: string[]
  /** What the newest entry of the history refers to. */
  newestBlobs: readonly string[]
  newestPosition: number
  processes: Process[]
  /** How many more replies of creates may be lost. */
  lostReplies: number
  /** How many more checkpoints may be declined. */
  declines: number
}

export function breach(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Violation(message())
}

/** The conditional create of the log, with every invariant that the history can show. */
export function createEntry(world: World, by: Process, entry: Entry): 'created' | 'exists' {
  if (world.log[entry.seq] !== undefined) return 'exists'
  const before = world.history[entry.seq - 1]
  world.log[entry.seq] = entry
  if (before !== undefined) {
    // Its number had been cleaned away. Only a start may come to that, and it must notice; our own lost reply says nothing new.
    if (before.nonce === entry.nonce) return 'created'
    breach(
      entry.kind === 'started',
      () => `C3: ${entry.kind} of a fenced generation took the cleaned number ${entry.seq}`,
    )
    by.isStale = true
    return 'created'
  }
  assertActing(by, `append ${entry.kind}`)
  const last = world.history.at(-1)
  breach(entry.seq === world.history.length + 1, () => `C5: ${entry.seq} is not the next number`)
  breach(
    entry.kind === 'started' ? entry.generation > (last?.generation ?? 0) : entry.generation === last?.generation,
    () => `C3: ${entry.kind} ${entry.seq} of generation ${entry.generation} after generation ${last?.generation}`,
  )
  const newest = entry.kind === 'completed' ? entry.retained.at(-1) : undefined
  if (newest !== undefined) noteCompleted(world, newest)
  world.history.push({ generation: entry.generation, nonce: entry.nonce, checkpoint: newest?.id ?? 0 })
  world.newestBlobs = entry.retained.map((one) => one.blob)
  checkBlobs(world)
  return 'created'
}

function noteCompleted(world: World, checkpoint: Checkpoint): void {
  breach(
    world.history.every((one) => one.checkpoint < checkpoint.id),
    () => `C5: checkpoint ${checkpoint.id} completed twice`,
  )
  for (const name of checkpoint.names) {
    breach(world.items[name]?.state !== 'aborted', () => `C2: ${name} was aborted and is completed now`)
    if (!world.completed.includes(name)) world.completed.push(name)
  }
  world.newestPosition = checkpoint.position
}

export function commitItem(world: World, by: Process, name: string): void {
  assertActing(by, `commit ${name}`)
  const item = world.items[name]
  breach(item !== undefined && item.state !== 'aborted', () => `C2: ${name} is completed and lost`)
  breach(world.completed.includes(name), () => `C1: ${name} is visible before its checkpoint completed`)
  world.items[name] = { ...item, state: 'committed' }
  const twins = Object.values(world.items).filter(
    (one) => one.state === 'committed' && one.record === item.record && one.sink === item.sink,
  )
  breach(twins.length === 1, () => `C2: record ${item.record} is visible twice at sink ${item.sink}`)
}

export function abortItem(world: World, by: Process, name: string): void {
  assertActing(by, `abort ${name}`)
  breach(!world.completed.includes(name), () => `C2: ${name} is completed and was aborted`)
  const item = world.items[name]
  if (item !== undefined) world.items[name] = { ...item, state: 'aborted' }
}

export function deleteBlob(world: World, by: Process, blob: string): void {
  assertActing(by, `delete ${blob}`)
  world.blobs = world.blobs.filter((one) => one !== blob)
  checkBlobs(world)
}

export function assertActing(by: Process, what: string): void {
  breach(!by.isStale, () => `C3: a start whose number had been cleaned away went on: ${what}`)
}

/** After a process has finished undisturbed: everything completed is visible, each record once, none left out (C2). */
export function checkEnd(world: World, sinks: number): void {
  for (const name of world.completed) {
    breach(world.items[name]?.state === 'committed', () => `C2: ${name} is completed and never became visible`)
  }
  for (let sink = 0; sink < sinks; sink += 1) {
    const visible = Object.values(world.items)
      .filter((one) => one.sink === sink && one.state === 'committed')
      .map((one) => one.record)
      .toSorted((a, b) => a - b)
    breach(
      visible.length === world.newestPosition && visible.every((record, index) => record === index),
      () => `C2: sink ${sink} shows records ${visible.join(', ')}, not the first ${world.newestPosition}`,
    )
  }
}

function checkBlobs(world: World): void {
  for (const blob of world.newestBlobs) breach(world.blobs.includes(blob), () => `C3: ${blob} is needed and gone`)
}

/** The engine's own shape of an entry, for its decisions. */
export function asLogEntry(entry: Entry): LogEntry {
  const { seq, kind, generation, nonce, through, next } = entry
  const retained = entry.retained.map(asRetained)
  return sampleEntry({ seq, kind, generation, nonce, retained, committedThrough: through, nextCheckpoint: next })
}

function asRetained(checkpoint: Checkpoint): RetainedCheckpoint {
  const { id, generation } = checkpoint
  return { checkpoint: id, generation, final: false, at: 0, inline: asManifest(checkpoint) }
}

export function asManifest({ id, generation, blob }: Checkpoint): Manifest {
  const state = { format: 1, descriptors: {}, blobs: [{ key: blob, sizeBytes: 1, sha256: '' }], keyGroups: [] } as const
  return sampleManifest(id, { generation, operators: [sampleOperator('total', { state })] })
}
