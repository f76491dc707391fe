/**
 * One snapshot of keyed state being written, in slices, while records flow on. Per key group either a full base or a delta since the
 * base checkpoint; a group is rebased when its deltas outweigh its base, its chain is long, or most of it changed.
 */
import { assert } from '../api/index.ts'
import type { BlobReference, KeyedStateHandle } from '../checkpoint/manifest.ts'
import type { Entry, KeyedStateBackend } from './keyed-state-backend.ts'
import { encodeChunk } from './segment-codec.ts'

/** A stretch of a blob that belongs to one key group's chain. */
export interface Segment {
  readonly blob: BlobReference | undefined
  readonly offset: number
  readonly length: number
  /** Only until the group is decoded. */
  readonly bytes: Uint8Array
  /** The state index of each column. */
  readonly columns: readonly number[]
}

const SLICE_ENTRIES = 2_048
const MAX_CHAIN = 32
const NO_BYTES = new Uint8Array()

interface Options {
  readonly checkpoint: number
  readonly number: number
  readonly cutEpoch: number
  readonly baseEpoch: number
  readonly dirty: readonly Entry[]
  readonly backend: KeyedStateBackend
  readonly width: number
  done(): void
}

export class KeyedSnapshot {
  readonly #options: Options
  readonly #rebase = new Set<number>()
  readonly #chunks = new Map<number, Uint8Array[]>()
  readonly #work: Iterator<Entry>

  constructor(options: Options) {
    this.#options = options
    this.#chooseRebases()
    this.#work = this.#entries()
  }

  /** Encodes the next slice; true when all is encoded. */
  encodeSlice(): boolean {
    const slice = new Map<number, Entry[]>()
    let ended = false
    for (let count = 0; count < SLICE_ENTRIES; count += 1) {
      const next = this.#work.next()
      if (next.done === true) {
        ended = true
        break
      }
      const entry = next.value
      if (!this.#isPending(entry)) continue
      entry.encodedFor = this.#options.number
      const list = slice.get(entry.keyGroup)
      if (list === undefined) slice.set(entry.keyGroup, [entry])
      else list.push(entry)
    }
    for (const [keyGroup, entries] of slice) this.#encode(keyGroup, entries)
    return ended
  }

  /** (F31) The entry is about to be changed, or seen by somebody who may change it. */
  beforeChange(entry: Entry): void {
    if (!this.#isPending(entry)) return
    entry.encodedFor = this.#options.number
    this.#encode(entry.keyGroup, [entry])
  }

  /** After all slices: one blob to store, and the handle once it is stored. */
  finish(): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): KeyedStateHandle } {
    const { backend, checkpoint } = this.#options
    this.#options.done()
    const parts: Uint8Array[] = []
    const places = new Map<number, readonly [number, number]>()
    let offset = 0
    for (const [keyGroup, chunks] of this.#chunks) {
      const length = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
      places.set(keyGroup, [offset, length])
      parts.push(...chunks)
      offset += length
    }
    const bytes = parts.length === 0 ? null : Buffer.concat(parts, offset)
    return {
      bytes,
      handle: (blob) => {
        assert((blob === null) === (bytes === null), () => 'a snapshot with new entries needs its blob')
        const chains = this.#newChains(blob, places)
        backend.propose(checkpoint, chains)
        return handleOf(backend.descriptors, chains)
      },
    }
  }

  /** The checkpoint was abandoned before `handle` was asked for: nothing of it is kept. */
  abandon(): void {
    this.#options.done()
  }

  #newChains(blob: BlobReference | null, places: ReadonlyMap<number, readonly [number, number]>): readonly (readonly Segment[])[] {
    const { backend, width } = this.#options
    const columns = Array.from({ length: width }, (_, index) => index)
    return backend.chains.map((chain, keyGroup) => {
      const kept = this.#rebase.has(keyGroup) ? [] : chain
      const place = places.get(keyGroup)
      if (place === undefined || blob === null) return kept
      return [...kept, { blob, offset: place[0], length: place[1], bytes: NO_BYTES, columns }]
    })
  }

  #isPending(entry: Entry): boolean {
    const { number, cutEpoch, baseEpoch } = this.#options
    if (entry.encodedFor === number || entry.writtenIn > cutEpoch) return false
    return entry.writtenIn > baseEpoch || this.#rebase.has(entry.keyGroup)
  }

  *#entries(): Generator<Entry> {
    for (const keyGroup of this.#rebase) yield* this.#options.backend.group(keyGroup).values()
    yield* this.#options.dirty
  }

  #encode(keyGroup: number, entries: readonly Entry[]): void {
    const dead: number[] = []
    const columns: unknown[][] = Array.from({ length: this.#options.width }, () => [])
    for (const [row, entry] of entries.entries()) {
      if (entry.dead) dead.push(row)
      for (const [state, column] of columns.entries()) column.push(entry.dead ? null : entry.cells[state])
    }
    const bytes = encodeChunk([entries.map((entry) => entry.key), dead, columns])
    const chunks = this.#chunks.get(keyGroup)
    if (chunks === undefined) this.#chunks.set(keyGroup, [bytes])
    else chunks.push(bytes)
  }

  #chooseRebases(): void {
    const { backend, baseEpoch, dirty } = this.#options
    const touched = new Map<number, number>()
    for (const entry of dirty) touched.set(entry.keyGroup, (touched.get(entry.keyGroup) ?? 0) + 1)
    for (const [keyGroup, chain] of backend.chains.entries()) {
      if (baseEpoch < 0) {
        if ((backend.groups[keyGroup]?.size ?? 0) > 0) this.#rebase.add(keyGroup)
        continue
      }
      const count = touched.get(keyGroup)
      if (count === undefined || backend.isUndecoded(keyGroup)) continue
      const [base, ...deltas] = chain
      const deltaBytes = deltas.reduce((sum, segment) => sum + segment.length, 0)
      const size = backend.groups[keyGroup]?.size ?? 0
      const heavy = base === undefined || deltaBytes >= base.length || chain.length >= MAX_CHAIN || count * 2 >= size
      if (heavy) this.#rebase.add(keyGroup)
    }
  }
}

function handleOf(
  descriptors: KeyedStateBackend['descriptors'],
  chains: readonly (readonly Segment[])[],
): KeyedStateHandle {
  const blobs = new Map<BlobReference, number>()
  const indexOf = (blob: BlobReference): number => {
    const known = blobs.get(blob)
    if (known !== undefined) return known
    blobs.set(blob, blobs.size)
    return blobs.size - 1
  }
  const keyGroups = chains.flatMap((chain, keyGroup) => {
    const segments = chain.flatMap(({ blob, offset, length }) => (blob === undefined ? [] : [[indexOf(blob), offset, length] as const]))
    return segments.length === 0 ? [] : [{ keyGroup, segments }]
  })
  const kinds = Object.fromEntries(Object.entries(descriptors).map(([name, { kind }]) => [name, { kind }]))
  return { format: 1, descriptors: kinds, blobs: [...blobs.keys()], keyGroups }
}
