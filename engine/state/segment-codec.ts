/**
 * A segment: what one checkpoint holds of one key group. A header (format version, the states as they were) and sections, each the
 * entries of one kind and state as columns. Segments outlive edits of the job, so they name their states themselves.
 *
 * Within a segment no entry comes twice, and clears count before everything else in it.
 */
import { CorruptCheckpointError } from '../api/index.ts'
import { ByteReader, ByteWriter } from './byte-buffer.ts'
import { readColumn, readIndexes, readKeys, writeColumn, writeIndexes, writeKeys, type Column } from './column-codec.ts'
import { CHUNK, CLEAR, ELEMENT, RECORD, UNSET, type Entry } from './entry.ts'
import type { RecordPage } from './record-page.ts'
import { assertStorable } from './storable.ts'
import { copyValue } from './value-codec.ts'

const FORMAT_VERSION = 1

/** A state as stored: name and kind, in the order of the descriptors. */
export type StateNames = readonly (readonly [name: string, kind: string])[]

export interface Section {
  readonly kind: number
  /** Index into the segment's states; 0 for records. */
  readonly state: number
  readonly keys: readonly string[]
  readonly dead: Uint32Array
  readonly columns: readonly Column[]
}

/** Collects entries of one key group and writes them as sections. */
export class SectionWriter {
  readonly #states: StateNames
  readonly #valueStates: readonly string[]
  readonly #sections = new Map<number, Rows>()
  readonly #writer = new ByteWriter()
  #records: Rows | undefined
  count = 0

  constructor(states: StateNames) {
    this.#states = states
    this.#valueStates = states.flatMap(([name, kind]) => (kind === 'value' ? [name] : []))
  }

  /** `detach`: the record may be changed before {@link take}; values are copied. */
  addRecord(page: RecordPage, at: number, detach: boolean): void {
    this.count += 1
    const width = this.#valueStates.length
    const rows = (this.#records ??= new Rows(RECORD, 0, width))
    const isDead = page.isDead(at)
    const value = isDead ? 0 : page.values[at]
    rows.begin(page.keyAt(at), isDead)
    rows.cell(0, detach ? this.#detached(value) : value)
    if (width < 2) return
    const more = page.partsAt(at)?.more
    for (let column = 1; column < width; column += 1) {
      const cell = isDead ? 0 : cellOf(more, column - 1)
      rows.cell(column, detach ? this.#detached(cell) : cell)
    }
  }

  /** As {@link addRecord}. */
  add(entry: Entry, detach: boolean): void {
    this.count += 1
    switch (entry.kind) {
      case ELEMENT: {
        const rows = this.#rows(ELEMENT, entry.body.state, 3)
        rows.begin(entry.body.slot.key, entry.dead)
        rows.cell(0, entry.key)
        rows.cell(1, entry.order)
        const value = entry.dead ? 0 : entry.value
        rows.cell(2, detach ? this.#detached(value) : value)
        return
      }
      case CHUNK: {
        const rows = this.#rows(CHUNK, entry.body.state, 2)
        rows.begin(entry.body.slot.key, false)
        rows.cell(0, entry.index)
        rows.cell(1, detach ? this.#detached(entry.values) : entry.values)
        return
      }
      case CLEAR:
        this.#rows(CLEAR, entry.state, 0).begin(entry.slot.key, false)
    }
  }

  /** The sections of what was added since the last call. @throws TerminalError for a value that cannot be kept */
  take(): Uint8Array {
    if (this.#records !== undefined) this.#write(this.#records)
    for (const rows of this.#sections.values()) this.#write(rows)
    this.#records = undefined
    this.#sections.clear()
    this.count = 0
    return this.#writer.take()
  }

  #detached(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    assertStorable(value, 'state')
    return copyValue(value)
  }

  #rows(kind: number, state: number, width: number): Rows {
    const id = kind * this.#states.length + state
    let rows = this.#sections.get(id)
    if (rows === undefined) {
      rows = new Rows(kind, state, width)
      this.#sections.set(id, rows)
    }
    return rows
  }

  #write({ kind, state, keys, dead, columns }: Rows): void {
    this.#writer.byte(kind)
    this.#writer.uint32(state)
    this.#writer.uint32(keys.length)
    writeKeys(this.#writer, keys)
    writeIndexes(this.#writer, dead)
    this.#writer.byte(columns.length)
    for (const [column, cells] of columns.entries()) {
      const name = kind === RECORD ? this.#valueStates[column] : this.#states[state]?.[0]
      writeColumn(this.#writer, cells, `state "${name}"`)
    }
  }
}

/** A slot that was made before it had this cell. */
function cellOf(cells: readonly unknown[] | undefined, index: number): unknown {
  return cells === undefined || index >= cells.length ? UNSET : cells[index]
}

class Rows {
  readonly kind: number
  readonly state: number
  readonly keys: string[] = []
  readonly dead: number[] = []
  readonly columns: unknown[][] = []

  constructor(kind: number, state: number, width: number) {
    this.kind = kind
    this.state = state
    for (let column = 0; column < width; column += 1) this.columns.push([])
  }

  begin(key: string, dead: boolean): void {
    if (dead) this.dead.push(this.keys.length)
    this.keys.push(key)
  }

  cell(column: number, value: unknown): void {
    this.columns[column]?.push(value)
  }
}

export function segmentHeader(states: StateNames): Uint8Array {
  const writer = new ByteWriter()
  writer.byte(FORMAT_VERSION)
  writer.text(JSON.stringify(states))
  return writer.take()
}

/** @throws CorruptCheckpointError */
export function decodeSegment(bytes: Uint8Array): {
  readonly states: StateNames
  readonly sections: readonly Section[]
} {
  const reader = new ByteReader(bytes)
  const version = reader.byte()
  if (version !== FORMAT_VERSION) {
    throw new CorruptCheckpointError(`format ${version} is not known to this version, which reads ${FORMAT_VERSION}`, {
      code: 'SLUICE_FORMAT_UNKNOWN',
    })
  }
  const states = JSON.parse(reader.text()) as StateNames
  const sections: Section[] = []
  while (!reader.isAtEnd) {
    const kind = reader.byte()
    const state = reader.uint32()
    const keys = readKeys(reader, reader.uint32())
    const dead = readIndexes(reader)
    const columns: Column[] = []
    for (let left = reader.byte(); left > 0; left -= 1) columns.push(readColumn(reader))
    sections.push({ kind, state, keys, dead, columns })
  }
  return { states, sections }
}
