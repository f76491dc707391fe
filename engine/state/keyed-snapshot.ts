/**
 * One snapshot of keyed state being written, in slices, while records flow on. Per key group either a full base or a delta since the base
 * checkpoint; one blob in all.
 *
 *   cut ─▶ encodeSlice… (group by group, then the blob is put together) ─▶ finish ─▶ handle
 *            ▲ beforeChange, beforeClear: what is about to change is captured first
 *
 * - F31: what is encoded is the state as of the cut: an entry is encoded once, before it changes, or not at all.
 * - T2: entries written after the cut carry a later stamp and are passed over.
 * - T3: a slice is bounded by entries and by bytes.
 */
import { assert } from '../api/index.ts'
import type { BlobReference, KeyedStateHandle } from '../checkpoint/manifest.ts'
import { CLEAR, partsOf, slotOf, type Body, type Entry } from './entry.ts'
import type { DirtyList, KeyGroup } from './key-group-records.ts'
import type { RecordPage } from './record-page.ts'
import { handleOf, type Chains } from './segment-chains.ts'
import { SectionWriter, segmentHeader, type StateNames } from './segment-codec.ts'
import { DirtyCursor, EntryCursor, GroupCursor, type SnapshotCursor } from './snapshot-cursor.ts'

/** About 1 ms: an entry costs its bytes and this much for being visited. */
const SLICE_COST = 192 * 1024
const ENTRY_COST = 16
const CHUNK_BYTES = 48 * 1024
const FIRST_CHUNK_ENTRIES = 64
const MOST_CHUNK_ENTRIES = 4_096
/** Captured entries are encoded when so many wait, wherever the slices are. */
const CAPTURED_ENTRIES = 256
const COPY_BYTES = 1024 * 1024

export interface SnapshotOptions {
  readonly checkpoint: number
  /** Unique per snapshot of this backend, abandoned ones included. */
  readonly number: number
  readonly cutEpoch: number
  readonly baseEpoch: number
  /** Groups to look at, each with what is dirty since the base. */
  readonly work: readonly { readonly group: KeyGroup; readonly dirty: readonly DirtyList[] }[]
  readonly rebase: ReadonlySet<number>
  readonly chains: Chains
  readonly states: StateNames
  /** Nothing is pending any more. */
  encoded(snapshot: KeyedSnapshot): void
  propose(checkpoint: number, chains: Chains): void
}

export class KeyedSnapshot {
  readonly #options: SnapshotOptions
  readonly #isRebased: boolean[] = []
  readonly #chunks = new Map<number, Uint8Array[]>()
  readonly #captured = new Map<number, SectionWriter>()
  /** Bodies that were cleared while their group's base is being written. */
  readonly #detached = new Map<number, Body[]>()
  readonly #writer: SectionWriter
  #position = 0
  #current: SnapshotCursor | undefined
  #chunkEntries = FIRST_CHUNK_ENTRIES
  #assembly: Assembly | undefined
  #state: 'encoding' | 'encoded' | 'finished' | 'abandoned' = 'encoding'

  constructor(options: SnapshotOptions) {
    this.#options = options
    this.#writer = new SectionWriter(options.states)
    for (const keyGroup of options.rebase) this.#isRebased[keyGroup] = true
  }

  /** Encodes the next slice; true when all is encoded. */
  encodeSlice(): boolean {
    if (this.#state !== 'encoding') return true
    let cost = 0
    while (cost < SLICE_COST && this.#assembly === undefined) cost += this.#encodeChunk()
    if (this.#assembly === undefined || cost >= SLICE_COST || !this.#assembly.copySlice()) return false
    this.#state = 'encoded'
    return true
  }

  /** The entry is about to be changed, or seen by somebody who may change it (F31). */
  beforeChange(entry: Entry): void {
    if (this.#isPending(entry)) this.#capture(entry)
  }

  /** The same for a record. */
  beforeRecordChange(page: RecordPage, at: number): void {
    if (!this.#isRecordPending(page, at)) return
    page.markEncoded(at, this.#options.number)
    const { index } = page.group
    const writer = this.#capturedOf(index)
    writer.addRecord(page, at, true)
    if (writer.count >= CAPTURED_ENTRIES) this.#put(index, writer.take())
  }

  /** A body is about to be detached. Its entries stay as they are; those that no dirty list knows are remembered here. */
  beforeClear(body: Body): void {
    const { index } = body.slot.group
    if (this.#isRebased[index] !== true || this.#state !== 'encoding' || this.#assembly !== undefined) return
    const bodies = this.#detached.get(index)
    if (bodies === undefined) this.#detached.set(index, [body])
    else bodies.push(body)
  }

  /** After all slices: one blob to store, and the handle once it is stored. */
  finish(): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): KeyedStateHandle } {
    const assembly = this.#assembly
    assert(
      this.#state === 'encoded' && assembly !== undefined,
      () => `a snapshot that is ${this.#state} cannot be finished`,
    )
    this.#state = 'finished'
    const bytes = assembly.bytes.byteLength === 0 ? null : assembly.bytes
    const { places } = assembly
    this.#assembly = undefined
    return {
      bytes,
      handle: (blob) => {
        const { checkpoint, states } = this.#options
        assert(this.#state === 'finished', () => `checkpoint ${checkpoint} was abandoned before its handle was made`)
        assert((blob === null) === (bytes === null), () => 'a snapshot with new entries needs its blob')
        const chains = this.#newChains(blob, places)
        this.#options.propose(checkpoint, chains)
        return handleOf(states, chains)
      },
    }
  }

  /** The checkpoint is given up: nothing of the snapshot is kept; dirty lists stay with the backend (F30). */
  abandon(): void {
    this.#state = 'abandoned'
    this.#assembly = undefined
    this.#current = undefined
    this.#chunks.clear()
    this.#captured.clear()
    this.#detached.clear()
    this.#options.encoded(this)
  }

  #isPending(entry: Entry): boolean {
    const { number, cutEpoch, baseEpoch } = this.#options
    if (entry.encodedFor === number || entry.writtenIn > cutEpoch) return false
    if (entry.kind !== CLEAR && entry.body.endedIn <= cutEpoch) return false
    if (this.#isRebased[slotOf(entry).group.index] === true) return !entry.dead
    return entry.writtenIn > baseEpoch
  }

  #isRecordPending(page: RecordPage, at: number): boolean {
    const { number, cutEpoch, baseEpoch } = this.#options
    const writtenIn = page.writtenAt(at)
    if (writtenIn > cutEpoch || page.isEncoded(at, number)) return false
    if (this.#isRebased[page.group.index] === true) return !page.isDead(at)
    return writtenIn > baseEpoch
  }

  #capturedOf(index: number): SectionWriter {
    let writer = this.#captured.get(index)
    if (writer === undefined) {
      writer = new SectionWriter(this.#options.states)
      this.#captured.set(index, writer)
    }
    return writer
  }

  #capture(entry: Entry): void {
    entry.encodedFor = this.#options.number
    const { index } = slotOf(entry).group
    const writer = this.#capturedOf(index)
    writer.add(entry, true)
    if (writer.count >= CAPTURED_ENTRIES) this.#put(index, writer.take())
  }

  /** Encodes some entries of the current group; answers what it cost. */
  #encodeChunk(): number {
    const { work } = this.#options
    const task = work[this.#position]
    if (task === undefined) {
      this.#assembly = new Assembly(this.#chunks)
      this.#chunks.clear()
      this.#options.encoded(this)
      return 0
    }
    const index = task.group.index
    const current = (this.#current ??= this.#cursorOf(task))
    let visited = 0
    let ended = false
    while (visited < MOST_CHUNK_ENTRIES && this.#writer.count < this.#chunkEntries) {
      if (!current.next()) {
        ended = true
        break
      }
      visited += 1
      this.#encode(current)
    }
    let cost = visited * ENTRY_COST + this.#encodeAdded(index)
    if (ended && !this.#takeDetached(task.group)) {
      cost += this.#putCaptured(index)
      this.#current = undefined
      this.#position += 1
    }
    return cost + ENTRY_COST
  }

  #encode({ entry, page, at }: SnapshotCursor): void {
    const { number } = this.#options
    if (entry === undefined) {
      if (!this.#isRecordPending(page, at)) return
      page.markEncoded(at, number)
      this.#writer.addRecord(page, at, false)
    } else if (this.#isPending(entry)) {
      entry.encodedFor = number
      this.#writer.add(entry, false)
    }
  }

  #encodeAdded(index: number): number {
    const { count } = this.#writer
    if (count === 0) return 0
    const bytes = this.#writer.take()
    this.#put(index, bytes)
    const fitting = Math.ceil((CHUNK_BYTES * count) / bytes.byteLength)
    this.#chunkEntries = Math.max(1, Math.min(MOST_CHUNK_ENTRIES, this.#chunkEntries * 4, fitting))
    return bytes.byteLength
  }

  /** Bodies that were cleared meanwhile come after the others. */
  #takeDetached(group: KeyGroup): boolean {
    const body = this.#detached.get(group.index)?.pop()
    if (body === undefined) return false
    this.#current = new EntryCursor(group, partsOf(body))
    return true
  }

  #putCaptured(index: number): number {
    const writer = this.#captured.get(index)
    this.#captured.delete(index)
    if (writer === undefined || writer.count === 0) return 0
    const bytes = writer.take()
    this.#put(index, bytes)
    return bytes.byteLength
  }

  #put(index: number, bytes: Uint8Array): void {
    const chunks = this.#chunks.get(index)
    if (chunks === undefined) this.#chunks.set(index, [segmentHeader(this.#options.states), bytes])
    else chunks.push(bytes)
  }

  #cursorOf({ group, dirty }: SnapshotOptions['work'][number]): SnapshotCursor {
    return this.#isRebased[group.index] === true ? new GroupCursor(group) : new DirtyCursor(group, dirty)
  }

  #newChains(blob: BlobReference | null, places: Assembly['places']): Chains {
    const { chains, rebase } = this.#options
    return chains.map((chain, keyGroup) => {
      const kept = rebase.has(keyGroup) ? [] : chain
      const place = places.get(keyGroup)
      return place === undefined || blob === null ? kept : [...kept, { blob, offset: place[0], length: place[1] }]
    })
  }
}

/** Puts the blob together in slices: copying hundreds of megabytes at once would hold the event loop (T3). */
class Assembly {
  readonly bytes: Buffer
  readonly places = new Map<number, readonly [offset: number, length: number]>()
  readonly #chunks: Uint8Array[] = []
  #next = 0
  #at = 0

  constructor(chunksOf: ReadonlyMap<number, readonly Uint8Array[]>) {
    let offset = 0
    for (const [keyGroup, chunks] of chunksOf) {
      const start = offset
      for (const chunk of chunks) {
        this.#chunks.push(chunk)
        offset += chunk.byteLength
      }
      this.places.set(keyGroup, [start, offset - start])
    }
    this.bytes = Buffer.allocUnsafeSlow(offset)
  }

  /** True when all is copied. */
  copySlice(): boolean {
    const end = this.#at + COPY_BYTES
    while (this.#at < end) {
      const chunk = this.#chunks[this.#next]
      if (chunk === undefined) return true
      this.bytes.set(chunk, this.#at)
      this.#at += chunk.byteLength
      this.#next += 1
    }
    return this.#next >= this.#chunks.length
  }
}
