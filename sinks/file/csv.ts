/**
 * CSV (RFC 4180) as a format of the file sink: a header per file, fields in quotes where they must be. Nothing of a record is left out
 * silently: a column that is not among those of the file is an error.
 *
 * Against spreadsheet formulas in fields nothing is done: that is the business of who opens the file.
 */
import { TerminalError } from '../../engine/api/index.ts'
import type { FileEncoder, FileFormat } from './file-format.ts'

/** Which columns, and how they are written. */
export interface CsvSinkOptions {
  /**
   * In this order; what a record does not have is an empty field. Left out: those of each file's first record, and every other one must have
   * exactly these.
   */
  readonly columns?: readonly string[]
  /** One ASCII character, default `,`. */
  readonly delimiter?: string
  /** The first line of each file names the columns; default true. */
  readonly header?: boolean
  /** Default `\n`; RFC 4180 itself says `\r\n`, readers take both. */
  readonly lineEnd?: '\n' | '\r\n'
}

/** What a field may hold: dates as ISO 8601 in UTC, null and undefined as nothing. */
export type CsvField = string | number | bigint | boolean | Date | null | undefined

interface Layout {
  readonly columns: readonly string[]
  /** Columns that no record may be without. */
  readonly isExact: boolean
  readonly delimiter: string
  readonly mustQuote: RegExp
  readonly carriageReturn: string
}

const EXCERPT = 120

/** @throws TerminalError for options that cannot be meant */
export function encodeCsv<T extends object>(options: CsvSinkOptions = {}): FileFormat<T> {
  const { delimiter = ',', header = true, lineEnd = '\n' } = options
  if (!/^[^"\r\n\u0080-\uffff]$/.test(delimiter)) {
    throw new TerminalError(
      `csv: the delimiter ${JSON.stringify(delimiter)} is not one ASCII character other than a quote or a line end`,
      { code: 'SLUICE_CONNECTOR_OPTION_INVALID' },
    )
  }
  const given = options.columns === undefined ? undefined : checkColumns(options.columns)
  // A mark at the beginning of a file would be read as no part of it.
  const mustQuote = new RegExp(`["\\r\\n\ufeff\\u{${delimiter.charCodeAt(0).toString(16)}}]`, 'u')
  return {
    openFile: (first) => {
      const columns = given ?? checkColumns(keysOf(first))
      const carriageReturn = lineEnd === '\r\n' ? '\r' : ''
      const layout = { columns, isExact: given === undefined, delimiter, mustQuote, carriageReturn }
      const encoder: FileEncoder<T> = { encode: (value) => rowOf(value, layout) }
      return header ? { ...encoder, header: joined(columns, layout) } : encoder
    },
  }
}

function rowOf(value: object, layout: Layout): string {
  const { columns, isExact } = layout
  const record = value as Readonly<Record<string, unknown>>
  const fields: string[] = []
  let found = 0
  for (const column of columns) {
    const field = Object.hasOwn(record, column) ? record[column] : undefined
    if (field !== undefined) found += 1
    fields.push(textOf(field, column, value))
  }
  const keys = keysOf(value)
  const isMissing = isExact && columns.some((column) => !Object.hasOwn(record, column))
  if (keys.length > found || isMissing) refuse(value, keys, layout)
  return joined(fields, layout)
}

function joined(fields: readonly string[], { delimiter, mustQuote, carriageReturn }: Layout): string {
  // A record of one empty field would be an empty line, which readers pass over.
  if (fields.length === 1 && fields[0] === '') return `""${carriageReturn}`
  let row = ''
  for (const [index, field] of fields.entries()) {
    const text = mustQuote.test(field) ? `"${field.replaceAll('"', '""')}"` : field
    row += index === 0 ? text : delimiter + text
  }
  return row + carriageReturn
}

function textOf(field: unknown, column: string, value: object): string {
  switch (typeof field) {
    case 'string':
      return field
    case 'undefined':
      return ''
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(field)
    default:
      if (field === null) return ''
      if (field instanceof Date && !Number.isNaN(field.getTime())) return field.toISOString()
      throw new TerminalError(
        `csv: column ${JSON.stringify(column)} of ${excerptOf(value)} is ${field instanceof Date ? 'no date' : `of type ${typeof field}`}, ` +
          'which is no field; make it a text, a number or a date before the sink',
        { code: 'SLUICE_RECORD_NOT_CSV' },
      )
  }
}

/** Those with a value: `undefined` is none, as in JSON. */
function keysOf(value: object): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TerminalError(
      `csv: ${excerptOf(value)} is no record of named columns; map it to an object before the sink`,
      { code: 'SLUICE_RECORD_NOT_CSV' },
    )
  }
  const keys = Object.keys(value)
  const record = value as Readonly<Record<string, unknown>>
  return keys.every((key) => record[key] !== undefined) ? keys : keys.filter((key) => record[key] !== undefined)
}

function refuse(value: object, keys: readonly string[], { columns, isExact }: Layout): never {
  const more = keys.filter((key) => !columns.includes(key))
  const missing = isExact ? columns.filter((column) => !Object.hasOwn(value, column)) : []
  const what = more.length > 0 ? `has more columns (${more.join(', ')})` : `is without ${missing.join(', ')}`
  throw new TerminalError(
    `csv: ${excerptOf(value)} ${what} than this file: ${columns.join(', ').slice(0, EXCERPT)}. ` +
      'Name all columns with encodeCsv({ columns: […] }), or map records to the same ones before the sink',
    { code: 'SLUICE_RECORD_NOT_CSV' },
  )
}

function checkColumns(columns: readonly string[]): readonly string[] {
  const wrong = columns.find((name, index) => name === '' || name === '__proto__' || columns.indexOf(name) !== index)
  if (wrong === undefined && columns.length > 0) return [...columns]
  const why = wrong === undefined ? 'there is no column' : `there is a column ${JSON.stringify(wrong)}`
  throw new TerminalError(`csv: ${why}: each needs a name of its own. Give encodeCsv({ columns: […] })`, {
    code: 'SLUICE_CONNECTOR_OPTION_INVALID',
  })
}

function excerptOf(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, EXCERPT)
  } catch {
    return String(value).slice(0, EXCERPT)
  }
}
