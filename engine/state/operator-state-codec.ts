/**
 * Operator state of one subtask as bytes: a header (format version, the states with their kinds) and sections, each some entries of one
 * state, in order, as columns. Bytes outlive edits of the job, so they name their states themselves.
 */
import { CorruptCheckpointError } from '../api/index.ts'
import type { OperatorStateDescriptor } from '../graph/job-graph.ts'
import { ByteReader, type ByteWriter } from './byte-buffer.ts'
import { readColumn, writeColumn } from './column-codec.ts'
import { UNSET } from './entry.ts'

export type OperatorStateKind = OperatorStateDescriptor['kind']

/** Name and kind, in the order of the descriptors. */
export type OperatorStateNames = readonly (readonly [name: string, kind: OperatorStateKind])[]

/** By name. Entries of a `broadcast-map` are pairs of key and value. */
export type DecodedOperatorState = ReadonlyMap<
  string,
  { readonly kind: OperatorStateKind; readonly entries: readonly unknown[] }
>

const FORMAT_VERSION = 1
const KINDS: Readonly<Record<OperatorStateKind, true>> = {
  'split-list': true,
  'union-list': true,
  'broadcast-map': true,
}

export interface OperatorStateSection {
  /** In the header. */
  readonly state: number
  readonly name: string
  /** Of a map; as many as values. */
  readonly keys?: readonly unknown[]
  readonly values: readonly unknown[]
}

export function writeHeader(writer: ByteWriter, states: OperatorStateNames): void {
  writer.byte(FORMAT_VERSION)
  writer.text(JSON.stringify(states))
}

/** @throws TerminalError for a value that cannot be kept */
export function writeSection(writer: ByteWriter, { state, name, keys, values }: OperatorStateSection): void {
  writer.uint32(state)
  writer.uint32(values.length)
  if (keys !== undefined) writeColumn(writer, keys, `a key of operator state "${name}"`)
  writeColumn(writer, values, `operator state "${name}"`)
}

/** @throws CorruptCheckpointError, and whatever bytes that are not ours lead to */
export function decodeOperatorState(bytes: Uint8Array): DecodedOperatorState {
  const reader = new ByteReader(bytes)
  const version = reader.byte()
  if (version !== FORMAT_VERSION) {
    throw new CorruptCheckpointError(`format ${version} is not known to this version, which reads ${FORMAT_VERSION}`, {
      code: 'SLUICE_FORMAT_UNKNOWN',
    })
  }
  const states = parseNames(JSON.parse(reader.text()))
  const entries = states.map((): unknown[] => [])
  while (!reader.isAtEnd) {
    const index = reader.uint32()
    const kind = states[index]?.[1]
    if (kind === undefined)
      throw new CorruptCheckpointError(`entries of state number ${index}, of which there are ${states.length}`, {
        code: 'SLUICE_CHECKPOINT_CORRUPT',
      })
    const count = reader.uint32()
    const keys = kind === 'broadcast-map' ? readCells(reader, count) : undefined
    const values = readCells(reader, count)
    for (const [row, value] of values.entries()) entries[index]?.push(keys === undefined ? value : [keys[row], value])
  }
  return new Map(states.map(([name, kind], index) => [name, { kind, entries: entries[index] ?? [] }]))
}

function readCells(reader: ByteReader, count: number): readonly unknown[] {
  const column = readColumn(reader)
  if (column.length !== count)
    throw new CorruptCheckpointError(`${count} entries expected, there are ${column.length}`, {
      code: 'SLUICE_CHECKPOINT_CORRUPT',
    })
  const cells = Array.from(column)
  if (cells.includes(UNSET))
    throw new CorruptCheckpointError('an entry without a value', { code: 'SLUICE_CHECKPOINT_CORRUPT' })
  return cells
}

function parseNames(json: unknown): OperatorStateNames {
  if (!Array.isArray(json))
    throw new CorruptCheckpointError('the states are not listed', { code: 'SLUICE_CHECKPOINT_CORRUPT' })
  return json.map((one: unknown) => {
    const [name, kind]: readonly unknown[] = Array.isArray(one) ? one : []
    if (typeof name === 'string' && isKind(kind)) return [name, kind] as const
    throw new CorruptCheckpointError(`state ${JSON.stringify(one)} is of no kind that this version reads`, {
      code: 'SLUICE_FORMAT_UNKNOWN',
    })
  })
}

function isKind(kind: unknown): kind is OperatorStateKind {
  return typeof kind === 'string' && Object.hasOwn(KINDS, kind)
}
