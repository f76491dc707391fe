/**
 * Keyed state of one operator's subtask: one Map per key group, entries stamped with the epoch they were last written in.
 *
 * - F30: dirty lists are kept per epoch until a completed checkpoint covers them; a delta is everything since the named base.
 * - F31: while a snapshot is being written, the first get of an object, set or delete of an entry last written in or before the cut
 *   encodes it into the snapshot before the caller sees it.
 * - T2: what is written after the cut carries a later stamp and is skipped by the snapshot.
 * - A deleted entry stays as a tombstone until a completed checkpoint covers it.
 */
import { assert, TerminalError } from '../api/index.ts'
import type { KeyedStateHandle } from '../checkpoint/manifest.ts'
import type { StateDescriptor } from '../graph/job-graph.ts'
import { assertWellFormed, keyGroupOf, keyString } from './keys.ts'
import { KeyedSnapshot, type Segment } from './keyed-snapshot.ts'
import { decodeSegment } from './segment-codec.ts'
import { createHandle } from './state-handles.ts'

/** One key's cells, one per state. Mutable, owned by the backend. */
export interface Entry {
  readonly key: string
  readonly keyGroup: number
  readonly cells: unknown[]
  dead: boolean
  writtenIn: number
  /** Number of the snapshot that has encoded it last. */
  encodedFor: number
}

/** A state that was never written, or cleared. */
export const UNSET = undefined

export class KeyedStateBackend {
  readonly handles: Readonly<Record<string, unknown>>
  readonly descriptors: Readonly<Record<string, StateDescriptor>>
  readonly maxParallelism: number
  readonly groups: (Map<string, Entry> | undefined)[]
  /** Of the newest completed checkpoint: each key group's base, then its deltas. */
  chains: readonly (readonly Segment[])[]
  /** Segments not decoded yet, by key group. */
  readonly #undecoded = new Map<number, readonly Segment[]>()
  readonly #width: number
  readonly #names: readonly string[]
  readonly #dirty = new Map<number, Entry[]>()
  readonly #epochOf = new Map<number, number>()
  /** What the chains will be if this checkpoint completes (F30: nothing refers to a blob of one that did not). */
  #proposed: { readonly checkpoint: number; readonly chains: readonly (readonly Segment[])[] } | undefined
  #dirtyNow: Entry[] = []
  #epoch = 1
  #key = ''
  #keyGroup = 0
  #entry: Entry | undefined
  #snapshot: KeyedSnapshot | undefined
  #snapshots = 0

  constructor(descriptors: Readonly<Record<string, StateDescriptor>>, maxParallelism: number) {
    this.descriptors = descriptors
    this.maxParallelism = maxParallelism
    this.#names = Object.keys(descriptors)
    this.#width = this.#names.length
    this.groups = Array.from({ length: maxParallelism })
    this.chains = Array.from({ length: maxParallelism }, () => [])
    this.#dirty.set(this.#epoch, this.#dirtyNow)
    this.handles = Object.fromEntries(
      Object.entries(descriptors).map(([name, descriptor], index) => [name, createHandle(descriptor, index, this)]),
    )
  }

  /** Selects the key that handles act on. @throws TerminalError for what is no key */
  setCurrentKey(key: unknown): void {
    const text = keyString(key)
    if (text === this.#key && this.#entry !== undefined) return
    this.#key = text
    this.#keyGroup = keyGroupOf(text, this.maxParallelism)
    this.#entry = (this.groups[this.#keyGroup] ?? this.group(this.#keyGroup)).get(text)
  }

  /** The cell of the current key; the caller may mutate what it gets. */
  read(state: number): unknown {
    const entry = this.#entry
    if (entry === undefined || entry.dead) return UNSET
    const cell = entry.cells[state]
    if (typeof cell === 'object' && this.#snapshot !== undefined) this.#snapshot.beforeChange(entry)
    return cell
  }

  write(state: number, value: unknown): void {
    const entry = this.#entry ?? this.#create()
    if (this.#snapshot !== undefined) this.#snapshot.beforeChange(entry)
    if (entry.writtenIn !== this.#epoch) {
      entry.writtenIn = this.#epoch
      this.#dirtyNow.push(entry)
    }
    entry.dead = false
    entry.cells[state] = value
    if (value === UNSET && entry.cells.every((cell) => cell === UNSET)) entry.dead = true
  }

  /** The synchronous cut. `base`: newest completed checkpoint or null. One snapshot at a time. */
  cut(checkpoint: number, base: number | null): KeyedSnapshot {
    assert(this.#snapshot === undefined, () => `snapshot of ${checkpoint} begun while another is being written`)
    const baseEpoch = base === null ? -1 : this.#epochOf.get(base)
    assert(baseEpoch !== undefined, () => `base ${base} of checkpoint ${checkpoint} is not known to this state`)
    this.#epochOf.set(checkpoint, this.#epoch)
    this.#snapshots += 1
    const dirty = [...this.#dirty.entries()].flatMap(([epoch, list]) => (epoch > baseEpoch ? list : []))
    this.#snapshot = new KeyedSnapshot({
      checkpoint,
      number: this.#snapshots,
      cutEpoch: this.#epoch,
      baseEpoch,
      dirty,
      backend: this,
      width: this.#width,
      done: () => {
        this.#snapshot = undefined
      },
    })
    this.#epoch += 1
    this.#dirtyNow = []
    this.#dirty.set(this.#epoch, this.#dirtyNow)
    return this.#snapshot
  }

  /** A snapshot is stored; its chains count once `checkpoint` has completed. */
  propose(checkpoint: number, chains: readonly (readonly Segment[])[]): void {
    this.#proposed = { checkpoint, chains }
  }

  /** `checkpoint` completed: dirty lists it covers may go, and tombstones in them. */
  completed(checkpoint: number): void {
    const through = this.#epochOf.get(checkpoint)
    if (through === undefined) return
    if (this.#proposed?.checkpoint === checkpoint) this.chains = this.#proposed.chains
    this.#proposed = undefined
    for (const [epoch, list] of this.#dirty) {
      if (epoch > through) continue
      for (const entry of list) {
        if (entry.dead && entry.writtenIn <= through && entry !== this.#entry) this.groups[entry.keyGroup]?.delete(entry.key)
      }
      this.#dirty.delete(epoch)
    }
    for (const [older, epoch] of this.#epochOf) if (epoch < through) this.#epochOf.delete(older)
  }

  /** The Map of a key group, decoded now if it was not. */
  group(keyGroup: number): Map<string, Entry> {
    const known = this.groups[keyGroup]
    if (known !== undefined) return known
    const entries = new Map<string, Entry>()
    this.groups[keyGroup] = entries
    const segments = this.#undecoded.get(keyGroup)
    if (segments !== undefined) {
      this.#undecoded.delete(keyGroup)
      for (const segment of segments) this.#decode(segment.bytes, keyGroup, segment.columns, entries)
    }
    return entries
  }

  /** Is the group only bytes yet? Then it is as its chain says. */
  isUndecoded(keyGroup: number): boolean {
    return this.#undecoded.has(keyGroup)
  }

  /** Decodes one more restored key group; false when there is none left. */
  restoreIdleSlice(): boolean {
    const next = this.#undecoded.keys().next().value
    if (next === undefined) return false
    this.group(next)
    return true
  }

  /** Before the first record. Several handles (of several old subtasks) have disjoint key groups. */
  restore(checkpoint: number, handles: readonly KeyedStateHandle[], blobs: ReadonlyMap<string, Uint8Array>): void {
    this.#epochOf.set(checkpoint, 0)
    const chains = this.chains.map((chain) => [...chain])
    this.chains = chains
    for (const handle of handles) {
      const columns = Object.keys(handle.descriptors).map((name) => this.#names.indexOf(name))
      for (const { keyGroup, segments } of handle.keyGroups) {
        const loaded = segments.map(([index, offset, length]): Segment => {
          const blob = handle.blobs[index]
          const bytes = blob === undefined ? undefined : blobs.get(blob.key)
          assert(blob !== undefined && bytes !== undefined, () => `key group ${keyGroup} refers to a blob that was not loaded`)
          return { blob, offset, length, bytes: bytes.subarray(offset, offset + length), columns }
        })
        const chain = chains[keyGroup]
        if (chain === undefined) throw new TerminalError(`key group ${keyGroup} is above maxParallelism ${this.maxParallelism}`)
        chain.push(...loaded)
        this.#undecoded.set(keyGroup, loaded)
      }
    }
  }

  #decode(bytes: Uint8Array, keyGroup: number, columns: readonly number[], into: Map<string, Entry>): void {
    for (const [keys, dead, cells] of decodeSegment(bytes)) {
      const gone = new Set(dead)
      for (const [row, key] of keys.entries()) {
        if (gone.has(row)) {
          into.delete(key)
          continue
        }
        const entry = newEntry(key, keyGroup, this.#width)
        for (const [column, state] of columns.entries()) if (state >= 0) entry.cells[state] = cells[column]?.[row]
        into.set(key, entry)
      }
    }
  }

  #create(): Entry {
    assertWellFormed(this.#key)
    const entry = newEntry(this.#key, this.#keyGroup, this.#width)
    this.group(this.#keyGroup).set(this.#key, entry)
    this.#entry = entry
    return entry
  }
}

function newEntry(key: string, keyGroup: number, width: number): Entry {
  const cells: unknown[] = []
  for (let index = 0; index < width; index += 1) cells.push(UNSET)
  return { key, keyGroup, cells, dead: false, writtenIn: 0, encodedFor: 0 }
}
