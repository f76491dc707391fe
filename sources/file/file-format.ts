/**
 * Formats that need more than one line at a time: a file's first bytes say how to read the rest, or a record holds line ends.
 *
 * What a file decodes to does not depend on where its blocks are cut, nor on where reading begins: a decoder that is opened for a file
 * that was half read before decodes the rest as the first one would have.
 */
import type { DecodedBlock } from '../../engine/api/index.ts'

/** How files of one kind are decoded. */
export interface FileFormat<T> {
  /**
   * Once each time a file is opened, before anything else of it is read; also when reading goes on in its middle.
   * Undefined, of a growing file alone: it cannot be told yet, ask again when there is more of it.
   * @throws TerminalError when the file cannot be of this format
   */
  openFile(file: FileBytes): Promise<FileDecoder<T> | undefined>
}

/** What a format may look at before anything is decoded. */
export interface FileBytes {
  readonly path: string
  /** It is followed: where it ends now it may go on later, also within a line. */
  readonly isGrowing: boolean
  /** Less than `length` bytes only where the file ends. */
  read(from: number, length: number): Promise<Buffer>
}

/** Decodes one file. */
export interface FileDecoder<T> {
  /**
   * How many bytes of `held`, which begins where a record does: whole records of about `aimBytes`, at least one. 0: more must be read to
   * tell; never 0 at the end of the file.
   */
  cut(held: Buffer, at: CutAt): number
  /** `block`: whole records, as `cut` gave them; `offset` of its first byte in the file. Keeps no reference to `block`. */
  decodeBlock(block: Buffer, offset: number): DecodedBlock<T>
}

/** Where bytes to be cut lie, and how many are wanted. */
export interface CutAt {
  /** Of the first byte, in the file. */
  readonly offset: number
  readonly aimBytes: number
  readonly isAtEnd: boolean
}
