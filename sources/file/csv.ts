/**
 * CSV (RFC 4180) as a file format: csv-parse tells the fields of a record, `csv-record.ts` where it ends. Lazily loaded: a job without
 * CSV does not pay for it.
 *
 * - The header is read again from the file's beginning whenever the file is opened, so reading may go on anywhere.
 * - A broken record, or one with another number of fields than there are columns, is a bad line at its own byte; a broken one ends with
 *   its first line, and reading goes on behind that.
 */
import { isUtf8 } from 'node:buffer'
import type { parse as Parse } from 'csv-parse/sync'
import {
  checkSchema,
  issuesText,
  messageOf,
  TerminalError,
  type BadLine,
  type DecodedBlock,
  type SchemaLike,
} from '../../engine/api/index.ts'
import { recordEnd } from './csv-record.ts'
import { markLength, mayBecomeMark } from './position.ts'
import type { CutAt, FileBytes, FileDecoder, FileFormat } from './file-format.ts'

/** How the records of a file are told apart, and named. */
export interface CsvOptions<T> {
  /** Names of the columns of files without a header; by default the first record of each file names them. */
  readonly columns?: readonly string[]
  /** One ASCII character, default `,`. */
  readonly delimiter?: string
  /** Checks each record (synchronously) and may convert it; what does not pass is a bad line. Fields are texts. */
  readonly schema?: SchemaLike<T>
}

/** Fields by the name of their column; all of them are texts. */
export type CsvRecord = Readonly<Record<string, string>>

const NEWLINE = 10
const QUOTE = 34
const HEADER_READ_BYTES = 64 * 1024
const MAX_HEADER_BYTES = 4 * 1024 * 1024
const EXCERPT = 120

/**
 * Each record is an object of texts by column name. Quoted fields may hold line ends; a quote that is not closed within 1 MiB is a bad
 * line. Empty lines are passed over.
 * @throws TerminalError for options that cannot be meant
 */
export function csv(options?: CsvOptions<CsvRecord> & { readonly schema?: undefined }): FileFormat<CsvRecord>
export function csv<T>(options: CsvOptions<T> & { readonly schema: SchemaLike<T> }): FileFormat<T>
export function csv<T>(options: CsvOptions<T> = {}): FileFormat<T | CsvRecord> {
  const { delimiter = ',', schema } = options
  if (!/^[^"\r\n\u0080-\uffff]$/.test(delimiter)) {
    throw new TerminalError(
      `csv: the delimiter ${JSON.stringify(delimiter)} is not one ASCII character other than a quote or a line end`,
      { code: 'SLUICE_CONNECTOR_OPTION_INVALID' },
    )
  }
  const columns = options.columns === undefined ? undefined : checkColumns(options.columns, 'csv: columns')
  return {
    openFile: async (file) => {
      const { parse } = await import('csv-parse/sync')
      const layout = { delimiter: delimiter.charCodeAt(0), fieldsOf: fieldsBy(parse, delimiter) }
      const start = await file.read(0, HEADER_READ_BYTES)
      if (file.isGrowing && mayBecomeMark(start)) return undefined
      const bodyStart = markLength(start)
      if (columns !== undefined) return new CsvDecoder({ ...layout, columns, bodyStart, schema })
      const header = await readHeader(file, bodyStart, layout)
      if (header === undefined) return undefined
      return new CsvDecoder({ ...layout, columns: header.columns, bodyStart: header.end, schema })
    },
  }
}

/** @throws Error of the library for a broken record */
type FieldsOf = (records: Buffer) => readonly (readonly string[])[]

interface Layout {
  readonly delimiter: number
  readonly fieldsOf: FieldsOf
}

interface DecoderOptions<T> extends Layout {
  readonly columns: readonly string[]
  /** Where the records begin in the file: behind byte order mark and header. */
  readonly bodyStart: number
  readonly schema: SchemaLike<T> | undefined
}

class CsvDecoder<T> implements FileDecoder<T | CsvRecord> {
  readonly #options: DecoderOptions<T>

  constructor(options: DecoderOptions<T>) {
    this.#options = options
  }

  cut(held: Buffer, { offset, aimBytes, isAtEnd }: CutAt): number {
    const options = { delimiter: this.#options.delimiter, isAtEnd }
    const limit = Math.max(1, Math.min(aimBytes, held.length))
    // What lies before the records goes with the first of them.
    let at = this.#skipped(held, offset)
    if (at >= held.length) return isAtEnd ? held.length : 0
    const first = recordEnd(held, at, options)
    if (first === undefined) return 0
    at = first
    for (let quote = held.indexOf(QUOTE, at); at < limit; quote = quote < at ? held.indexOf(QUOTE, at) : quote) {
      // Lines before the next quote are records.
      const last = held.lastIndexOf(NEWLINE, Math.min(quote < 0 ? limit : quote, limit) - 1)
      at = Math.max(at, last + 1)
      if (quote < 0 || quote >= limit) return at
      const end = recordEnd(held, at, options)
      if (end === undefined || end > limit) return at
      at = end
    }
    return at
  }

  decodeBlock(block: Buffer, offset: number): DecodedBlock<T | CsvRecord> {
    const start = this.#skipped(block, offset)
    const values = this.#decodeAll(block.subarray(start))
    return values === undefined ? this.#decodeEach(block, start) : { values, bad: [] }
  }

  #skipped(bytes: Buffer, offset: number): number {
    return Math.min(bytes.length, Math.max(0, this.#options.bodyStart - offset))
  }

  /** Undefined when anything is off: then record by record, for the positions. */
  #decodeAll(records: Buffer): (T | CsvRecord)[] | undefined {
    if (!isUtf8(records)) return undefined
    try {
      return this.#options.fieldsOf(records).map((fields) => this.#valueOf(fields))
    } catch (error) {
      if (error instanceof TerminalError) throw error
      return undefined
    }
  }

  #decodeEach(block: Buffer, from: number): DecodedBlock<T | CsvRecord> {
    const values: (T | CsvRecord)[] = []
    const bad: BadLine[] = []
    for (let start = from; start < block.length;) {
      const end = recordEnd(block, start, { delimiter: this.#options.delimiter, isAtEnd: true }) ?? block.length
      const record = block.subarray(start, end)
      try {
        if (!isUtf8(record)) throw new SyntaxError('not valid UTF-8')
        values.push(...this.#options.fieldsOf(record).map((fields) => this.#valueOf(fields)))
      } catch (error) {
        // The schema itself is at fault, not the record.
        if (error instanceof TerminalError) throw error
        const excerpt = record.toString('utf8').trimEnd().slice(0, EXCERPT)
        bad.push({ offset: start, reason: reasonOf(error), excerpt, length: end - start })
      }
      start = end
    }
    return { values, bad }
  }

  /** @throws SyntaxError for a record that is a bad line */
  #valueOf(fields: readonly string[]): T | CsvRecord {
    const { columns, schema } = this.#options
    if (fields.length !== columns.length) {
      throw new SyntaxError(
        `${fields.length} fields instead of ${columns.length} (${columns.join(', ').slice(0, EXCERPT)})`,
      )
    }
    const record: Record<string, string> = {}
    for (let index = 0; index < fields.length; index += 1) record[columns[index] ?? ''] = fields[index] ?? ''
    if (schema === undefined) return record
    const result = checkSchema(record, schema)
    if (result.issues === undefined) return result.value
    throw new SyntaxError(issuesText(result.issues))
  }
}

function fieldsBy(parse: typeof Parse, delimiter: string): FieldsOf {
  const options = { delimiter, record_delimiter: ['\r\n', '\n'], relax_column_count: true, skip_empty_lines: true }
  return (records) => parse(records, options)
}

/** A file without any record has no columns; undefined: the header of a growing file is not whole yet. */
async function readHeader(
  file: FileBytes,
  start: number,
  { delimiter, fieldsOf }: Layout,
): Promise<{ readonly columns: readonly string[]; readonly end: number } | undefined> {
  let bytes = Buffer.alloc(0)
  for (let isAtEnd = false; !isAtEnd && bytes.length < MAX_HEADER_BYTES;) {
    const more = await file.read(start + bytes.length, HEADER_READ_BYTES)
    bytes = Buffer.concat([bytes, more])
    isAtEnd = more.length < HEADER_READ_BYTES
    for (let from = 0; from < bytes.length;) {
      const end = recordEnd(bytes, from, { delimiter, isAtEnd: isAtEnd && !file.isGrowing })
      if (end === undefined) break
      const fields = headerFields(bytes.subarray(from, end), file.path, fieldsOf)
      if (fields !== undefined) return { columns: checkColumns(fields, `${file.path}: the header`), end: start + end }
      // An empty line.
      from = end
    }
  }
  if (bytes.length < MAX_HEADER_BYTES) return file.isGrowing ? undefined : { columns: [], end: start + bytes.length }
  throw new TerminalError(
    `${file.path}: no header within its first ${MAX_HEADER_BYTES} bytes; name the columns with csv({ columns: […] })`,
    { code: 'SLUICE_CSV_HEADER_INVALID' },
  )
}

/** Undefined: an empty line. */
function headerFields(record: Buffer, path: string, fieldsOf: FieldsOf): readonly string[] | undefined {
  try {
    if (!isUtf8(record)) throw new SyntaxError('not valid UTF-8')
    return fieldsOf(record)[0]
  } catch (error) {
    const excerpt = JSON.stringify(record.toString('utf8').trimEnd().slice(0, EXCERPT))
    throw new TerminalError(
      `${path}: its first record cannot be a header: ${reasonOf(error)}: ${excerpt}. ` +
        'Mend it, or name the columns with csv({ columns: […] })',
      { code: 'SLUICE_CSV_HEADER_INVALID', cause: error },
    )
  }
}

function checkColumns(columns: readonly string[], what: string): readonly string[] {
  const wrong = columns.find((name, index) => name === '' || name === '__proto__' || columns.indexOf(name) !== index)
  if (wrong === undefined && columns.length > 0) return columns
  const why = wrong === undefined ? 'names no column' : `names a column ${JSON.stringify(wrong)}`
  throw new TerminalError(`${what} ${why}: each needs a name of its own. Mend it, or give csv({ columns: […] })`, {
    code: 'SLUICE_CSV_HEADER_INVALID',
  })
}

/** The library counts lines of what it was given, which is no line number of the file. */
const REASONS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'a field goes on behind its closing quote',
  INVALID_OPENING_QUOTE: 'a quote within a field that is not quoted',
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
  return REASONS[code] ?? messageOf(error)
}
