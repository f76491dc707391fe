/**
 * Operator state as of one cut, on its way to bytes.
 *
 *   cut (the first slice is encoded in it) ─▶ encodeSlice… ─▶ finish ─▶ bytes to store, or none ─▶ handle
 *                                              ▲ beforeSeen: what is about to be handed out is captured first
 *
 * - T3: a slice is about 1 ms. Operator state is small as a rule: the first slice, taken in the cut itself, is then all of it, and nothing
 *   that happens afterwards can reach the snapshot.
 * - F31: of more than that (SLICE_COST), a value that is not encoded yet is copied before it is handed out.
 * - T2: a write after the cut makes a new cell; those of the cut stay as they are.
 */
import { assert } from '../api/index.ts'
import type { BlobReference, OperatorStateHandle } from '../checkpoint/manifest.ts'
import { ByteWriter } from './byte-buffer.ts'
import { writeHeader, writeSection, type OperatorStateKind } from './operator-state-codec.ts'
import { encodeHandle, needsBlob } from './operator-state-handle.ts'
import { assertStorable } from './storable.ts'
import { copyValue } from './value-codec.ts'

/** About 1 ms: an entry costs its bytes and this much for being visited. */
const SLICE_COST = 192 * 1024
const ENTRY_COST = 16
const SECTION_BYTES = 48 * 1024
const FIRST_SECTION_ENTRIES = 64
const MOST_SECTION_ENTRIES = 4_096
const COPY_BYTES = 1024 * 1024

/** One entry's value. A write makes a new one. */
export class Cell {
  readonly value: unknown
  /** The newest cut that needs nothing more of it. */
  heldFor: number

  constructor(value: unknown, heldFor: number) {
    this.value = value
    this.heldFor = heldFor
  }
}

export interface CutState {
  readonly name: string
  readonly kind: OperatorStateKind
  readonly cells: readonly Cell[]
  /** Of a map. */
  readonly keys?: readonly unknown[]
}

export interface OperatorStateCutOptions {
  /** Counts the cuts of a backend, from 1. */
  readonly number: number
  readonly states: readonly CutState[]
  /** Nothing has to be captured any more. */
  encoded(): void
}

export class OperatorStateCut {
  readonly #options: OperatorStateCutOptions
  readonly #writer = new ByteWriter()
  readonly #captured = new Map<Cell, unknown>()
  readonly #held: ReadonlySet<string>
  #pieces: Uint8Array[] = []
  #sectionEntries = FIRST_SECTION_ENTRIES
  #position = 0
  #row = 0
  #assembly: { readonly bytes: Buffer; piece: number; at: number } | undefined
  #phase: 'encoding' | 'copying' | 'encoded' | 'finished' | 'abandoned' = 'encoding'

  constructor(options: OperatorStateCutOptions) {
    this.#options = options
    this.#held = new Set(options.states.filter(({ cells }) => cells.length > 0).map(({ name }) => name))
    writeHeader(
      this.#writer,
      options.states.map(({ name, kind }) => [name, kind]),
    )
  }

  /** Encodes the next slice; true when all is encoded. @throws TerminalError for a value that cannot be kept */
  encodeSlice(): boolean {
    let cost = 0
    while (this.#phase === 'encoding') {
      cost += this.#encodeSection()
      if (cost >= SLICE_COST) return false
    }
    if (this.#phase === 'copying') this.#copySlice()
    return this.#phase !== 'copying'
  }

  /** The value of a cell of state `name` is about to be seen by somebody who may change it (F31). */
  beforeSeen(cell: Cell, name: string): void {
    const { number } = this.#options
    if (cell.heldFor >= number || !this.#held.has(name) || typeof cell.value !== 'object' || cell.value === null) return
    assertStorable(cell.value, `operator state "${name}"`)
    this.#captured.set(cell, copyValue(cell.value))
    cell.heldFor = number
  }

  /** After all slices: bytes to store, null where the manifest takes them, and the handle once they are stored. */
  finish(): { readonly bytes: Uint8Array | null; handle(blob: BlobReference | null): OperatorStateHandle } {
    const bytes = this.#assembly?.bytes
    assert(
      this.#phase === 'encoded' && bytes !== undefined,
      () => `a cut of operator state that is ${this.#phase} cannot be finished`,
    )
    this.#phase = 'finished'
    this.#assembly = undefined
    return {
      bytes: needsBlob(bytes) ? bytes : null,
      handle: (blob) => encodeHandle(this.#options.states, bytes, blob),
    }
  }

  /** The checkpoint will not complete: nothing is kept of the cut. Idempotent. */
  abandon(): void {
    const isPending = this.#phase === 'encoding'
    this.#phase = 'abandoned'
    this.#pieces = []
    this.#captured.clear()
    this.#assembly = undefined
    // Later it would speak for a newer cut.
    if (isPending) this.#options.encoded()
  }

  /** Some entries of the state at hand; answers what it cost. */
  #encodeSection(): number {
    const { states, number } = this.#options
    const position = this.#position
    const state = states[position]
    if (state === undefined) {
      this.#put()
      this.#startCopying()
      return 0
    }
    const from = this.#row
    const cells = state.cells.slice(from, from + this.#sectionEntries)
    this.#row += cells.length
    if (this.#row === state.cells.length) {
      this.#position += 1
      this.#row = 0
    }
    if (cells.length === 0) return ENTRY_COST
    const values = cells.map((cell) => this.#takeValue(cell, number))
    const keys = state.keys?.slice(from, from + cells.length)
    writeSection(this.#writer, { state: position, name: state.name, ...(keys && { keys }), values })
    const sizeBytes = this.#put()
    const fitting = Math.ceil((SECTION_BYTES * cells.length) / sizeBytes)
    this.#sectionEntries = Math.max(1, Math.min(MOST_SECTION_ENTRIES, this.#sectionEntries * 4, fitting))
    return sizeBytes + cells.length * ENTRY_COST
  }

  #takeValue(cell: Cell, number: number): unknown {
    cell.heldFor = number
    if (!this.#captured.has(cell)) return cell.value
    const value = this.#captured.get(cell)
    this.#captured.delete(cell)
    return value
  }

  #put(): number {
    const bytes = this.#writer.take()
    this.#pieces.push(bytes)
    return bytes.byteLength
  }

  #startCopying(): void {
    const sizeBytes = this.#pieces.reduce((sum, { byteLength }) => sum + byteLength, 0)
    this.#assembly = { bytes: Buffer.allocUnsafeSlow(sizeBytes), piece: 0, at: 0 }
    this.#phase = 'copying'
    this.#options.encoded()
  }

  #copySlice(): void {
    const assembly = this.#assembly
    assert(assembly !== undefined, () => 'pieces are copied before there is room for them')
    const end = assembly.at + COPY_BYTES
    while (assembly.at < end) {
      const piece = this.#pieces[assembly.piece]
      if (piece === undefined) {
        this.#phase = 'encoded'
        this.#pieces = []
        return
      }
      assembly.bytes.set(piece, assembly.at)
      assembly.at += piece.byteLength
      assembly.piece += 1
    }
  }
}
