/**
 * How far a file was read, and what tells that it is still that file (F20): it may grow by whole lines, and nothing else. Contents are
 * compared, not inode or times: a file that was copied back from elsewhere is as good as the old one. Looked at are its length, the first
 * 4 KiB and the last 1 KiB before the position; a change between them alone, of bytes that were read before, goes unseen.
 */
import { hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { TerminalError } from '../../engine/api/index.ts'

/** How far a file was read, and what it looked like there. */
export interface FilePosition {
  /** Everything before this byte was read; of a compressed file it counts the bytes of the content. */
  readonly byte: number
  /** Print of the first bytes, up to 4,096; empty as long as nothing was read. */
  readonly head: string
  /** Print of the last bytes before `byte`, up to 1,024. */
  readonly tail: string
}

export const FILE_START: FilePosition = { byte: 0, head: '', tail: '' }

const MARK = Buffer.from([0xef, 0xbb, 0xbf])
const HEAD_BYTES = 4_096
const TAIL_BYTES = 1_024
const NEWLINE = 10
const LENGTH_DIGITS = 4

/** Of the byte order mark (UTF-8) that a file may begin with; no part of its text. */
export function markLength(start: Buffer): number {
  return start.subarray(0, MARK.length).equals(MARK) ? MARK.length : 0
}

/** All there is of a file so far: more of it may make it a mark. */
export function mayBecomeMark(start: Buffer): boolean {
  return start.length < MARK.length && MARK.subarray(0, start.length).equals(start)
}

/** `start`: what was first read of the file. */
export function headOf(start: Buffer): string {
  return printOf(start.subarray(0, HEAD_BYTES))
}

/** Of a file of which `byte` bytes were read: how many of its first ones belong into its print, if it holds less than it could; else 0. */
export function missingInHead(head: string, byte: number): number {
  const length = Math.min(byte, HEAD_BYTES)
  return length > lengthIn(head) ? length : 0
}

/** `block`: what was read last. */
export function tailOf(block: Buffer): string {
  return printOf(block.subarray(Math.max(0, block.length - TAIL_BYTES)))
}

const CURE = 'Bring the old file back; what is new belongs into a file of its own'

export interface CheckOptions {
  /** The position may be within a line, as when a file is looked at while it is being read. */
  readonly endsInLine: boolean
}

/** @throws TerminalError if what was read up to `position` is not there any more as it was */
export async function checkUnchanged(
  handle: FileHandle,
  path: string,
  position: FilePosition,
  { endsInLine }: CheckOptions,
): Promise<void> {
  if (position.byte === 0) return
  const { size } = await handle.stat()
  if (size < position.byte) throw tooShort(path, size, position)
  const head = await readExactly(handle, 0, lengthIn(position.head))
  const tailLength = lengthIn(position.tail)
  const tail = await readExactly(handle, position.byte - tailLength, tailLength)
  checkPrints(path, position, { head, tail })
  if (!endsInLine && size > position.byte && tail.at(-1) !== NEWLINE) throw notWhole(path, position)
}

/**
 * The same for what can only be read from its beginning on: is given the bytes up to the position, in order, and the file's first ones,
 * which may go beyond it.
 */
export class Resumption {
  readonly #path: string
  readonly #position: FilePosition
  #byte = 0
  #tail: Buffer = Buffer.alloc(0)

  constructor(path: string, position: FilePosition) {
    this.#path = path
    this.#position = position
  }

  get isDone(): boolean {
    return this.wantedBytes === 0
  }

  get headBytes(): number {
    return lengthIn(this.#position.head)
  }

  get wantedBytes(): number {
    return this.#position.byte - this.#byte
  }

  take(bytes: Buffer): void {
    const last = bytes.length >= TAIL_BYTES ? bytes : Buffer.concat([this.#tail, bytes])
    this.#tail = Buffer.from(last.subarray(Math.max(0, last.length - TAIL_BYTES)))
    this.#byte += bytes.length
  }

  /** @throws TerminalError if what was given is not what was read before */
  check(head: Buffer): void {
    if (!this.isDone) throw tooShort(this.#path, this.#byte, this.#position)
    const tail = this.#tail.subarray(this.#tail.length - lengthIn(this.#position.tail))
    checkPrints(this.#path, this.#position, { head, tail })
  }

  /** Bytes follow behind the position. @throws TerminalError if it is within a line */
  checkGoesOn(): void {
    if (this.#tail.at(-1) !== NEWLINE) throw notWhole(this.#path, this.#position)
  }
}

function checkPrints(
  path: string,
  position: FilePosition,
  { head, tail }: { readonly head: Buffer; readonly tail: Buffer },
): void {
  if (printOf(head) !== position.head) {
    throw new TerminalError(
      `${path} begins otherwise than when it was read up to byte ${position.byte}: it was rewritten. ${CURE}`,
      { code: 'SLUICE_INPUT_CHANGED' },
    )
  }
  if (printOf(tail) === position.tail) return
  throw new TerminalError(
    `${path} holds other bytes from ${position.byte - lengthIn(position.tail)} to ${position.byte} than when they were read: ` +
      `it was rewritten. ${CURE}`,
    { code: 'SLUICE_INPUT_CHANGED' },
  )
}

function tooShort(path: string, size: number, { byte }: FilePosition): TerminalError {
  return new TerminalError(
    `${path} has ${size} bytes, but it was read up to byte ${byte}: it was truncated or replaced, and ` +
      `bytes ${size} to ${byte} are missing. ${CURE}`,
    { code: 'SLUICE_INPUT_CHANGED' },
  )
}

function notWhole(path: string, { byte }: FilePosition): TerminalError {
  return new TerminalError(
    `${path} ended at byte ${byte} without a line end and was read as complete, but goes on now: ` +
      'its last line was not whole. Let files appear complete, by a rename',
    { code: 'SLUICE_INPUT_CHANGED' },
  )
}

/** Length (4 hex digits) and sha256 (the first 16). */
function printOf(bytes: Buffer): string {
  return bytes.length.toString(16).padStart(LENGTH_DIGITS, '0') + hash('sha256', bytes, 'hex').slice(0, 16)
}

function lengthIn(print: string): number {
  return Number.parseInt(print.slice(0, LENGTH_DIGITS), 16)
}

/** Less than `length` bytes only where the file ends. */
export async function readExactly(handle: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
