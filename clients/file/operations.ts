/**
 * The file system operations of the disk store and the file sink, one per system call, so that a test can record them, fail any of them, or cut the
 * power between two of them.
 *
 * Callbacks on plain descriptors: cheaper than FileHandle objects, and these run several times per checkpoint. All of them leave the
 * event loop free: a metadata operation can wait for the journal as long as an fsync does (T3).
 */
import {
  access,
  close,
  constants,
  fsync,
  link,
  mkdir,
  open,
  read,
  readdir,
  readFile,
  rename,
  rmdir,
  stat,
  unlink,
  write,
} from 'node:fs'

/** All reject with errors that have a `code` (ENOENT, EEXIST, ENOSPC, …). */
export interface FileOperations {
  /** Creates the file; EEXIST if it is there. Returns a descriptor. */
  createFile(path: string, mode: number): Promise<number>
  /** Rejects when this process may not make and remove names in it. */
  checkWritable(path: string): Promise<void>
  /** For `read` only; ENOENT if it is not there. */
  openForReading(path: string): Promise<number>
  /** Fills a part of `bytes` from the file's `position` on, and returns how much; 0 at its end. */
  read(fd: number, bytes: Uint8Array, position: number): Promise<number>
  /** For `fsync` only; ENOTDIR if it is none. */
  openDirectory(path: string): Promise<number>
  /** Writes a part of `bytes` from `offset` on, at the file's end, and returns how much. */
  write(fd: number, bytes: Uint8Array, offset: number): Promise<number>
  /** Of a file or a directory: resolves when what was written before survives a power cut. */
  fsync(fd: number): Promise<void>
  /** Once per descriptor. */
  close(fd: number): Promise<void>
  /** EEXIST if `to` is there. */
  link(from: string, to: string): Promise<void>
  /** Takes the place of `to` where that is there; within one file system. */
  rename(from: string, to: string): Promise<void>
  /** ENOENT if it is not there. */
  unlink(path: string): Promise<void>
  /** One level; EEXIST if it is there. */
  mkdir(path: string, mode: number): Promise<void>
  /** ENOTEMPTY if something is in it. */
  rmdir(path: string): Promise<void>
  /** ENOENT if it is not there. */
  readFile(path: string): Promise<Uint8Array>
  /** In no order; ENOENT if it is not there. */
  readDirectory(path: string): Promise<readonly DirectoryEntry[]>
  /** ENOENT if it is not there. */
  stat(path: string): Promise<FileFacts>
}

/** Of `stat`. */
export interface FileFacts {
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** Of `readDirectory`. */
export interface DirectoryEntry {
  readonly name: string
  readonly isDirectory: boolean
}

/** Not known everywhere (Windows). */
const DIRECTORY_ONLY = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0)

/** The real file system. */
export const nodeFileOperations: FileOperations = {
  createFile: (path, mode) => value((done) => open(path, 'wx', mode, done)),
  checkWritable: (path) => nothing((done) => access(path, constants.W_OK | constants.X_OK, done)),
  openForReading: (path) => value((done) => open(path, 'r', done)),
  read: (fd, bytes, position) => value((done) => read(fd, bytes, 0, bytes.byteLength, position, done)),
  openDirectory: (path) => value((done) => open(path, DIRECTORY_ONLY, done)),
  write: (fd, bytes, offset) => value((done) => write(fd, bytes, offset, bytes.byteLength - offset, null, done)),
  fsync: (fd) => nothing((done) => fsync(fd, done)),
  close: (fd) => nothing((done) => close(fd, done)),
  link: (from, to) => nothing((done) => link(from, to, done)),
  rename: (from, to) => nothing((done) => rename(from, to, done)),
  unlink: (path) => nothing((done) => unlink(path, done)),
  mkdir: (path, mode) => nothing((done) => mkdir(path, mode, done)),
  rmdir: (path) => nothing((done) => rmdir(path, done)),
  readFile: (path) => value<Uint8Array>((done) => readFile(path, done)),
  readDirectory: async (path) => {
    const entries = await value<readonly { readonly name: string; isDirectory(): boolean }[]>((done) =>
      readdir(path, { withFileTypes: true }, done),
    )
    return entries.map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
  },
  stat: async (path) => {
    const { size, mtimeMs } = await value<{ readonly size: number; readonly mtimeMs: number }>((done) =>
      stat(path, done),
    )
    return { sizeBytes: size, modifiedMs: mtimeMs }
  },
}

/** The `code` of a file system error, or '' of anything else. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

type Callback<T> = (error: NodeJS.ErrnoException | null, result: T) => void

function value<T>(call: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
}

function nothing(call: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
