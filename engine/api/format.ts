/**
 * Line formats: blocks of newline-separated bytes to values and back.
 *
 * - A bad line is attributed to its own byte position: never merged with a neighbour, never split, never passed over silently.
 * - What a block decodes to does not depend on where the blocks were cut.
 */
import { isUtf8 } from 'node:buffer'
import { messageOf, TerminalError } from './errors.ts'

/** What became of the lines of a block: each is a value, a bad line, or blank. */
export interface DecodedBlock<T> {
  /** One per good line, in order. */
  readonly values: readonly T[]
  /** In order. */
  readonly bad: readonly BadLine[]
}

/** A line that could not be decoded, and why. */
export interface BadLine {
  /** Byte position of the line's first byte, relative to the block. */
  readonly offset: number
  readonly reason: string
  readonly excerpt: string
  /** In bytes, its end included; left out: up to the next line end. */
  readonly length?: number
}

/** Bytes to values, a block of whole lines at a time. Holds no state: the same block gives the same values. */
export interface LineDecoder<T> {
  /**
   * `block` holds whole lines, each ended by `\n` but perhaps the last; `\r\n` is accepted, lines of spaces and tabs are passed over.
   * Keeps no reference to `block`.
   */
  decodeBlock(block: Buffer): DecodedBlock<T>
}

/** Values to lines. */
export interface LineEncoder<T> {
  /** One line, without its end. */
  encode(value: T): string
}

/** The part of https://standardschema.dev that is needed: zod, valibot, arktype and others have it. */
export interface SchemaLike<T> {
  readonly '~standard': {
    /** Synchronous: a promise is refused. Must not throw. */
    validate(
      value: unknown,
    ):
      | { readonly value: T; readonly issues?: undefined }
      | { readonly issues: readonly SchemaIssue[] }
      | Promise<unknown>
  }
}

/** One thing that did not pass. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Both ways. */
export type LineFormat<T> = LineDecoder<T> & LineEncoder<T>

/** Newline-delimited JSON; with a schema each value is checked (synchronously), and what does not pass is a bad line. */
export function json<T = unknown>(schema?: SchemaLike<T>): LineFormat<T> {
  return {
    encode: (value) => {
      const line = jsonOf(value)
      if (line !== undefined) return line
      throw new TerminalError(`${typeof value} has no JSON form; map it to a value before the sink`, {
        code: 'SLUICE_RECORD_NOT_ENCODED',
      })
    },
    decodeBlock: (block) => {
      const values = parseAll(block)
      if (schema === undefined) return values === undefined ? parseEach<T>(block) : { values: values as T[], bad: [] }
      // A value did not pass: once more line by line, for the byte positions.
      const passed = values === undefined ? undefined : allPassed(values, schema)
      return passed === undefined ? checkEach(block, schema) : { values: passed, bad: [] }
    },
  }
}

/** Undefined: there is none. */
function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw new TerminalError(`a record has no JSON form: ${messageOf(error)}; map it to plain values before the sink`, {
      code: 'SLUICE_RECORD_NOT_ENCODED',
      cause: error,
    })
  }
}

/** Each line is a string. */
export function lines(): LineFormat<string> {
  return {
    encode: (value) => {
      if (value.includes('\n') || value.endsWith('\r')) {
        throw new TerminalError('a line must not hold a line break; take it out, or write JSON', {
          code: 'SLUICE_RECORD_NOT_ENCODED',
        })
      }
      return value
    },
    decodeBlock: (block) => {
      if (!isUtf8(block)) return eachLine(block, (text) => text)
      const values: string[] = []
      for (const line of block.toString('utf8').split('\n')) {
        if (!BLANK.test(line)) values.push(line.endsWith('\r') ? line.slice(0, -1) : line)
      }
      return { values, bad: [] }
    },
  }
}

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const SPACE = 32
const EXCERPT = 120
const BLANK = /^[ \t\r]*$/

/**
 * One JSON.parse per line of a string that is decoded once. Undefined when anything is off: then the bytes are looked at, for positions.
 *
 * Measured against one parse of all lines, joined by separators that nobody can know: that is no faster (0.41 against 0.35 us for
 * records of 90 bytes), as it parses and drops a separator per line; and joining by a comma alone, the fastest by a tenth, is not exact
 * (`{},{}` makes up for `{"a":[{}` and `{}]}`).
 */
function parseAll(block: Buffer): unknown[] | undefined {
  if (!isUtf8(block)) return undefined
  const text = block.toString('utf8')
  const values: unknown[] = []
  try {
    for (let start = 0; start < text.length;) {
      const newline = text.indexOf('\n', start)
      const stop = newline < 0 ? text.length : newline
      const line = text.slice(start, stop)
      if (text.charCodeAt(start) > SPACE || !BLANK.test(line)) values.push(JSON.parse(line))
      start = stop + 1
    }
  } catch {
    return undefined
  }
  return values
}

function parseEach<T>(block: Buffer): DecodedBlock<T> {
  return eachLine(block, (text) => JSON.parse(text) as T)
}

function allPassed<T>(values: readonly unknown[], schema: SchemaLike<T>): T[] | undefined {
  const passed: T[] = []
  for (const value of values) {
    const result = checkSchema(value, schema)
    if (result.issues !== undefined) return undefined
    passed.push(result.value)
  }
  return passed
}

function checkEach<T>(block: Buffer, schema: SchemaLike<T>): DecodedBlock<T> {
  return eachLine(block, (text) => {
    const result = checkSchema(JSON.parse(text), schema)
    if (result.issues === undefined) return result.value
    throw new SyntaxError(issuesText(result.issues))
  })
}

/** What a schema said of a value: the value, perhaps converted, or why it did not pass. */
export type Checked<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** For authors of formats. @throws TerminalError when the schema is at fault, not the value */
export function checkSchema<T>(value: unknown, schema: SchemaLike<T>): Checked<T> {
  let result: ReturnType<SchemaLike<T>['~standard']['validate']>
  try {
    result = schema['~standard'].validate(value)
  } catch (error) {
    throw new TerminalError(`the schema threw instead of returning issues: ${messageOf(error)}`, {
      code: 'SLUICE_SCHEMA_UNUSABLE',
      cause: error,
    })
  }
  if ('then' in result) {
    result.catch(() => undefined)
    throw new TerminalError(
      'the schema gave a promise: it validates asynchronously, or threw; use one that does neither',
      { code: 'SLUICE_SCHEMA_UNUSABLE' },
    )
  }
  return result
}

/** One text of what did not pass, with the path of each. */
export function issuesText(issues: readonly SchemaIssue[]): string {
  return issues.map(textOf).join('; ')
}

function textOf(issue: SchemaIssue): string {
  const path = issue.path?.map((step) => String(typeof step === 'object' ? step.key : step)).join('.') ?? ''
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

function eachLine<T>(block: Buffer, decode: (text: string) => T): DecodedBlock<T> {
  const values: T[] = []
  const bad: BadLine[] = []
  for (let start = 0; start < block.length;) {
    const newline = block.indexOf(NEWLINE, start)
    const stop = newline < 0 ? block.length : newline
    const line = block.subarray(start, stop > start && block[stop - 1] === CARRIAGE_RETURN ? stop - 1 : stop)
    const text = line.toString('utf8')
    if (!BLANK.test(text)) {
      try {
        if (!isUtf8(line)) throw new SyntaxError('not valid UTF-8')
        values.push(decode(text))
      } catch (error) {
        // The schema itself is at fault, not the line.
        if (error instanceof TerminalError) throw error
        bad.push({ offset: start, reason: messageOf(error), excerpt: text.slice(0, EXCERPT) })
      }
    }
    start = stop + 1
  }
  return { values, bad }
}
