/**
 * Keyed state of one operator's subtask: records by key group, entries stamped with the epoch they were last written in.
 *
 * - F30: dirty lists are kept per epoch until a completed checkpoint covers them; a delta is everything since the named base.
 * - F31: while a snapshot is being written, the first get of an object, set or delete of an entry last written in or before the cut
 *   captures it for the snapshot before the caller sees it.
 * - T2: what is written after the cut carries a later stamp and is passed over by the snapshot.
 * - A deleted entry stays as a tombstone until a completed checkpoint covers it.
 */
import { codeOf, assert, CorruptCheckpointError, messageOf, TerminalError } from '../api/index.ts'
import type { KeyedStateHandle } from '../checkpoint/manifest.ts'
import type { StateDescriptor } from '../graph/job-graph.ts'
import { release, sizeOf, slotOf, type SlotParts, type Body, type Clear, type Entry } from './entry.ts'
import { assertWellFormed, keyOfString, keyString } from './key-encoding.ts'
import { applySegment, settleDecoded } from './key-group-decoder.ts'
import { DirtyList, KeyGroup } from './key-group-records.ts'
import { keyGroupOfHash } from './key-group.ts'
import { KeyedSnapshot } from './keyed-snapshot.ts'
import { ProbeKey } from './probe-key.ts'
import type { RecordPage } from './record-page.ts'
import { blobsToLeave, chooseRebases, type GroupFacts } from './rebase.ts'
import { assertCompatible, chainsOf, type Chains, type Segment } from './segment-chains.ts'
import type { StateNames } from './segment-codec.ts'
import { createHandles } from './state-handles.ts'

export { restoreKeyedState } from './restore-keyed-state.ts'
export type { KeyedSnapshot } from './keyed-snapshot.ts'

/** Dead; a record by its key. */
type Grave = Entry | string

export interface KeyedStateOptions {
  readonly descriptors: Readonly<Record<string, StateDescriptor>>
  readonly maxParallelism: number
  /** Both included; by default all. */
  readonly firstKeyGroup?: number
  readonly lastKeyGroup?: number
  /** Deep-freezes what `get` returns. */
  readonly freeze?: boolean
}

export function createKeyedStateBackend(options: KeyedStateOptions): KeyedStateBackend {
  const { descriptors, maxParallelism, ...rest } = options
  return new KeyedStateBackend(descriptors, maxParallelism, rest)
}

export class KeyedStateBackend {
  /** The record of the current key; `at` is -1 as long as it has none. */
  page: RecordPage
  at = -1
  /** One per descriptor name, bound to the current key: ValueState, ListState or MapState. */
  readonly handles: Readonly<Record<string, unknown>>
  readonly maxParallelism: number
  readonly firstKeyGroup: number
  readonly lastKeyGroup: number
  readonly #states: StateNames
  readonly #groups: KeyGroup[]
  /** Of the newest completed checkpoint. */
  #chains: Chains
  /** Restored groups that are only bytes yet; they are as their chain says. */
  readonly #undecoded = new Map<number, readonly Uint8Array[]>()
  readonly #epochOf = new Map<number, number>()
  /** What the chains will be if this checkpoint completes: nothing refers to a blob of one that did not (F30). */
  #proposed: { readonly checkpoint: number; readonly chains: Chains } | undefined
  /** Groups with something dirty in the current epoch; with something in earlier ones. */
  #touched: KeyGroup[] = []
  readonly #behind = new Set<KeyGroup>()
  /** Tombstones by epoch: what a completed checkpoint lets go. */
  readonly #graves = new Map<number, Grave[]>()
  #epoch = 1
  /** The key that was selected last; `#isUnmet` as long as it has no record. */
  readonly #key = new ProbeKey()
  #isUnmet = false
  #snapshot: KeyedSnapshot | undefined
  #snapshots = 0

  constructor(
    descriptors: Readonly<Record<string, StateDescriptor>>,
    maxParallelism: number,
    options: Omit<KeyedStateOptions, 'descriptors' | 'maxParallelism'> = {},
  ) {
    this.maxParallelism = maxParallelism
    this.firstKeyGroup = options.firstKeyGroup ?? 0
    this.lastKeyGroup = options.lastKeyGroup ?? maxParallelism - 1
    this.#states = Object.entries(descriptors).map(([name, { kind }]) => [name, kind] as const)
    this.#groups = Array.from({ length: maxParallelism }, (_, index) => new KeyGroup(index))
    this.page = this.#groupAt(this.firstKeyGroup).pageOf(0)
    this.#chains = this.#groups.map(() => [])
    this.handles = createHandles(descriptors, this, options.freeze ?? false)
  }

  /** Selects the key that handles act on. @throws TerminalError for what is no key */
  setCurrentKey(key: unknown): void {
    const text = typeof key === 'string' && key.charCodeAt(0) !== 1 ? key : keyString(key)
    const probe = this.#key.read(text)
    const { hash } = probe
    const group = this.#groups[keyGroupOfHash(hash, this.maxParallelism)]
    const page = group?.pageOf(hash)
    const at = page?.find(probe) ?? -1
    if (page === undefined || at < 0) return this.#meet()
    this.page = page
    this.at = at
  }

  /** The snapshot that is being encoded: entries with objects are shown to it before they are handed out (F31). */
  get snapshot(): KeyedSnapshot | undefined {
    return this.#snapshot
  }

  /** What the current key has besides its first value. */
  get parts(): SlotParts | undefined {
    return this.at < 0 ? undefined : this.page.partsAt(this.at)
  }

  /** The values of the current key are about to be changed: it has a record from now on. */
  beforeWriteValues(): void {
    if (this.at < 0) this.#addRecord()
    const { page, at } = this
    if (this.#snapshot !== undefined) this.#snapshot.beforeRecordChange(page, at)
    if (page.writtenAt(at) === this.#epoch) return
    page.markWritten(at, this.#epoch)
    this.#dirtyOf(page.group).addRecord(page, at)
  }

  /** Those of the current key, made if there are none; its values stay as they are. */
  ensureParts(): SlotParts {
    if (this.at < 0) this.#addRecord()
    return this.page.ensurePartsAt(this.at)
  }

  /** An entry below a slot is about to be changed. */
  beforeWrite(entry: Entry): void {
    if (this.#snapshot !== undefined) this.#snapshot.beforeChange(entry)
    if (entry.writtenIn === this.#epoch) return
    entry.writtenIn = this.#epoch
    this.#dirtyOf(slotOf(entry).group).entries.push(entry)
  }

  /** It is dead since now: it may go once a completed checkpoint covers this epoch. */
  bury(entry: Entry): void {
    this.#addGrave(entry)
  }

  /** If no value of the current key is set any more: the same for its record. */
  buryIfDead(): void {
    if (this.page.isDead(this.at)) this.#addGrave(this.page.keyAt(this.at))
  }

  /** A body is cleared as a whole: detached, in favour of a range tombstone. */
  detach(body: Body, clear: Clear): void {
    if (this.#snapshot !== undefined) this.#snapshot.beforeClear(body)
    body.endedIn = this.#epoch
    body.slot.group.entryCount -= sizeOf(body)
    this.beforeWrite(clear)
    this.bury(clear)
  }

  /** The synchronous cut. `base`: newest completed checkpoint or null. One snapshot at a time. */
  cut(checkpoint: number, base: number | null): KeyedSnapshot {
    assert(this.#snapshot === undefined, () => `snapshot of ${checkpoint} begun while another is being written`)
    const baseEpoch = base === null ? -1 : this.#epochOf.get(base)
    assert(baseEpoch !== undefined, () => `base ${base} of checkpoint ${checkpoint} is not known to this state`)
    const cutEpoch = this.#epoch
    this.#epochOf.set(checkpoint, cutEpoch)
    this.#snapshots += 1
    for (const group of this.#touched) {
      group.earlier.push({ epoch: cutEpoch, list: group.dirty })
      group.dirty = new DirtyList()
      this.#behind.add(group)
    }
    this.#touched = []
    this.#epoch += 1
    const rebase = base === null ? this.#allHeld() : this.#chooseRebases(baseEpoch)
    const groups = new Set(this.#behind)
    for (const keyGroup of rebase) groups.add(this.#groupAt(keyGroup))
    this.#snapshot = new KeyedSnapshot({
      checkpoint,
      number: this.#snapshots,
      cutEpoch,
      baseEpoch,
      work: [...groups].map((group) => ({ group, dirty: dirtySince(group, baseEpoch) })),
      rebase,
      chains: this.#chains,
      states: this.#states,
      encoded: (snapshot) => {
        if (this.#snapshot === snapshot) this.#snapshot = undefined
      },
      propose: (of, chains) => {
        this.#proposed = { checkpoint: of, chains }
      },
    })
    return this.#snapshot
  }

  /** `checkpoint` completed: dirty lists that it covers may go, and tombstones. */
  completed(checkpoint: number): void {
    assert(this.#snapshot === undefined, () => `checkpoint ${checkpoint} completed while another is being encoded`)
    const through = this.#epochOf.get(checkpoint)
    if (through === undefined) return
    const current = this.at < 0 ? undefined : this.page.keyAt(this.at)
    if (this.#proposed?.checkpoint === checkpoint) this.#chains = this.#proposed.chains
    this.#proposed = undefined
    for (const group of this.#behind) {
      group.earlier = group.earlier.filter(({ epoch }) => epoch > through)
      if (group.earlier.length === 0) this.#behind.delete(group)
    }
    for (const [epoch, entries] of this.#graves) {
      if (epoch > through) continue
      this.#graves.delete(epoch)
      for (const entry of entries) this.#release(entry, through)
    }
    for (const [older, epoch] of this.#epochOf) if (epoch < through) this.#epochOf.delete(older)
    if (current !== undefined) this.setCurrentKey(keyOfString(current))
  }

  /** Decodes one more restored key group; false when there is none left. */
  restoreIdleSlice(): boolean {
    const next = this.#undecoded.keys().next().value
    if (next === undefined) return false
    this.#decode(next)
    return true
  }

  /**
   * Before the first record; `blobs` by key, checked. Several handles (of several old subtasks) have disjoint key groups.
   * @throws TerminalError for state that the job does not declare alike, CorruptCheckpointError
   */
  restore(
    checkpoint: number,
    handles: readonly KeyedStateHandle[],
    blobs: ReadonlyMap<string, Uint8Array>,
    dropped: readonly string[] = [],
  ): void {
    assertCompatible(handles, this.#states, dropped)
    const { maxParallelism, firstKeyGroup: first, lastKeyGroup: last } = this
    this.#chains = chainsOf(handles, { maxParallelism, first, last })
    this.#epochOf.set(checkpoint, 0)
    for (const [keyGroup, chain] of this.#chains.entries()) {
      if (chain.length > 0)
        this.#undecoded.set(
          keyGroup,
          chain.map((segment) => bytesOf(segment, keyGroup, blobs)),
        )
    }
    if (!handles.some((handle) => Object.keys(handle.descriptors).some((name) => dropped.includes(name)))) return
    // What was dropped must not come back when its name is used again: everything is written anew.
    while (this.restoreIdleSlice());
    this.#chains = this.#chains.map(() => [])
  }

  #groupAt(keyGroup: number): KeyGroup {
    const group = this.#groups[keyGroup]
    assert(group !== undefined, () => `key group ${keyGroup} is above maxParallelism ${this.maxParallelism}`)
    return group
  }

  /** A key without a record: it may be among what was restored and is not decoded yet, or lie elsewhere. */
  #meet(): void {
    const key = this.#key
    const group = this.#groupAt(keyGroupOfHash(key.hash, this.maxParallelism))
    this.at = -1
    this.#isUnmet = false
    if (this.#undecoded.size > 0) this.#decode(group.index)
    if (group.find(key, this)) return
    assertWellFormed(key.text)
    this.#assertMine(group.index, key.text)
    this.#isUnmet = true
  }

  #addRecord(): void {
    const key = this.#key
    assert(this.#isUnmet, () => 'state was used while no key was selected')
    const group = this.#groupAt(keyGroupOfHash(key.hash, this.maxParallelism))
    group.add(key, this)
  }

  /** The key was selected where the record was sent, and again here. */
  #assertMine(keyGroup: number, key: string): void {
    if (keyGroup >= this.firstKeyGroup && keyGroup <= this.lastKeyGroup) return
    throw new TerminalError(
      `key ${JSON.stringify(key)} belongs to key group ${keyGroup}, which another subtask owns: the key selector gave another key when it was ` +
        'asked again; it must depend on the record alone',
      { code: 'SLUICE_KEY_NOT_STABLE' },
    )
  }

  #dirtyOf(group: KeyGroup): DirtyList {
    const { dirty } = group
    if (dirty.count === 0) this.#touched.push(group)
    return dirty
  }

  #addGrave(entry: Grave): void {
    const graves = this.#graves.get(this.#epoch)
    if (graves === undefined) this.#graves.set(this.#epoch, [entry])
    else graves.push(entry)
  }

  /** What is dead since an epoch that a completed checkpoint covers goes, and its record with it if that was all. */
  #release(entry: Grave, through: number): void {
    if (typeof entry !== 'string') {
      if (!entry.dead || entry.writtenIn > through) return
      release(entry)
    }
    const key = new ProbeKey().read(typeof entry === 'string' ? entry : slotOf(entry).key)
    const group = this.#groupAt(keyGroupOfHash(key.hash, this.maxParallelism))
    const place = { page: this.page, at: -1 }
    if (!group.find(key, place)) return
    const { page, at } = place
    if (!page.isDead(at) || page.writtenAt(at) > through || page.partsAt(at)?.hasEntries === true) return
    group.remove(place)
  }

  #decode(keyGroup: number): void {
    const segments = this.#undecoded.get(keyGroup)
    if (segments === undefined) return
    this.#undecoded.delete(keyGroup)
    const group = this.#groupAt(keyGroup)
    for (const [index, bytes] of segments.entries()) {
      try {
        applySegment(bytes, group, this.#states)
      } catch (error) {
        const blob = this.#chains[keyGroup]?.[index]?.blob.key
        throw new CorruptCheckpointError(`key group ${keyGroup} in ${blob} cannot be read: ${messageOf(error)}`, {
          code: codeOf(error) ?? 'SLUICE_CHECKPOINT_CORRUPT',
          cause: error,
        })
      }
    }
    settleDecoded(group)
  }

  /** Without a base everything is written. */
  #allHeld(): ReadonlySet<number> {
    while (this.restoreIdleSlice());
    return new Set(this.#groups.filter(({ isEmpty }) => !isEmpty).map(({ index }) => index))
  }

  /** Restored groups that are still bytes keep their chains: nothing of them changed. */
  #chooseRebases(baseEpoch: number): ReadonlySet<number> {
    const chains = this.#chains
    const cheap = blobsToLeave(chains)
    const facts: GroupFacts[] = []
    for (const group of this.#groups) {
      const chain = chains[group.index] ?? []
      const isInCheapBlob = cheap.size > 0 && chain.some(({ blob }) => cheap.has(blob.key))
      const isNew = chain.length === 0 && !group.isEmpty
      if ((!isInCheapBlob && !isNew && !this.#behind.has(group)) || this.#undecoded.has(group.index)) continue
      facts.push({
        keyGroup: group.index,
        segments: chain.map(({ length }) => length),
        dirtyCount: dirtySince(group, baseEpoch).reduce((sum, { count }) => sum + count, 0),
        entryCount: group.entryCount,
        isInCheapBlob,
      })
    }
    return chooseRebases(
      facts,
      chains.reduce((sum, chain) => sum + (chain[0]?.length ?? 0), 0),
    )
  }
}

function dirtySince(group: KeyGroup, baseEpoch: number): readonly DirtyList[] {
  return group.earlier.flatMap(({ epoch, list }) => (epoch > baseEpoch ? [list] : []))
}

function bytesOf(
  { blob, offset, length }: Segment,
  keyGroup: number,
  blobs: ReadonlyMap<string, Uint8Array>,
): Uint8Array {
  const bytes = blobs.get(blob.key)
  assert(bytes !== undefined, () => `key group ${keyGroup} refers to ${blob.key}, which was not loaded`)
  return bytes.subarray(offset, offset + length)
}
