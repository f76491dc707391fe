/**
 * Formats that need more than one record at a time: what a file begins with, or what all records of one must have in common.
 *
 * Where a file ends is decided by sizes and checkpoints: after a restore the same records may be divided into files in another way, and
 * each of them is opened anew.
 */
export interface FileFormat<T> {
  /** Once per file, before its first record, which is given to `encode` then too. @throws TerminalError if no file can begin with it */
  openFile(first: T): FileEncoder<T>
}

/** Encodes one file. */
export interface FileEncoder<T> {
  /** First line of the file, without its end. */
  readonly header?: string
  /** One record, without its line end. @throws TerminalError for one that this file cannot hold */
  encode(value: T): string
}
