/**
 * Where a CSV record ends, in bytes (RFC 4180: a field in quotes may hold delimiters, line ends and doubled quotes). Only that; what its
 * fields are is the library's business.
 *
 * A record that is broken ends with its first line, so that one stray quote costs one line and not all up to the next quote.
 */

const NEWLINE = 10
const CARRIAGE_RETURN = 13
const QUOTE = 34

/** A quote that is not closed within so many bytes of its record's start is a broken one. */
export const MAX_QUOTED_RECORD_BYTES = 1024 * 1024

export interface RecordOptions {
  readonly delimiter: number
  /** Nothing follows behind `bytes`. */
  readonly isAtEnd: boolean
}

/** Behind the last byte of the record that begins at `start`, its line end included; undefined: more bytes are needed to tell. */
export function recordEnd(bytes: Buffer, start: number, options: RecordOptions): number | undefined {
  const newline = bytes.indexOf(NEWLINE, start)
  const lineEnd = newline >= 0 ? newline + 1 : options.isAtEnd ? bytes.length : undefined
  const quote = bytes.indexOf(QUOTE, start)
  if (quote < 0 || (lineEnd !== undefined && quote >= lineEnd)) return lineEnd
  const window = bytes.subarray(start, start + MAX_QUOTED_RECORD_BYTES)
  const isWhole = options.isAtEnd || bytes.length - start >= MAX_QUOTED_RECORD_BYTES
  const end = quotedRecordEnd(window, options.delimiter, options.isAtEnd && window.length === bytes.length - start)
  if (end === 'broken' || (end === undefined && isWhole)) return lineEnd
  return end === undefined ? undefined : start + end
}

/** Of the record at the start of `window`; undefined: not within it. */
function quotedRecordEnd(window: Buffer, delimiter: number, endsFile: boolean): number | 'broken' | undefined {
  for (let at = 0; at < window.length;) {
    const isQuoted = window[at] === QUOTE
    const end: number | undefined = isQuoted ? closingQuote(window, at) : plainFieldEnd(window, at, delimiter)
    if (end === undefined) break
    if (!isQuoted && window[end] === QUOTE) return 'broken'
    const behind = isQuoted ? end + 1 : end
    if (behind >= window.length) break
    const byte = window[behind]
    if (byte === NEWLINE) return behind + 1
    if (byte === CARRIAGE_RETURN) {
      if (behind + 1 >= window.length) break
      return window[behind + 1] === NEWLINE ? behind + 2 : 'broken'
    }
    if (byte !== delimiter) return 'broken'
    at = behind + 1
  }
  return endsFile && isClosed(window) ? window.length : undefined
}

/** Every quote has its partner: the end of the file ends the record too. */
function isClosed(window: Buffer): boolean {
  let quotes = 0
  for (let at = window.indexOf(QUOTE); at >= 0; at = window.indexOf(QUOTE, at + 1)) quotes += 1
  return quotes % 2 === 0
}

/** Position of the quote that closes the one at `from`. */
function closingQuote(bytes: Buffer, from: number): number | undefined {
  for (let at = bytes.indexOf(QUOTE, from + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 2)) {
    if (bytes[at + 1] !== QUOTE) return at
  }
  return undefined
}

/** Position of the delimiter, line end or (wrong) quote behind a field without quotes. */
function plainFieldEnd(bytes: Buffer, from: number, delimiter: number): number | undefined {
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (byte === delimiter || byte === NEWLINE || byte === QUOTE) return at
  }
  return undefined
}
