/**
 * A POSIX file system in memory that forgets what was not fsynced: content of files and names in directories, each on its own.
 *
 * Every operation can be failed or be the last before the power is cut. After a cut `survivors` mounts what is left: `nothing` unsynced
 * (names and contents since the last fsync are gone) or unsynced `names` (the journal got through, file contents did not).
 */
import { basename, dirname } from 'node:path'
import type { FileFacts, FileOperations } from '../../../clients/file/operations.ts'

interface File {
  readonly kind: 'file'
  bytes: Uint8Array
  durable: Uint8Array
}
interface Directory {
  readonly kind: 'directory'
  names: Map<string, Node>
  durable: Map<string, Node>
}
type Node = File | Directory

export interface Operation {
  readonly name: keyof FileOperations
  readonly path: string
}

export interface VolatileDiskOptions {
  readonly root?: Directory
  /** Called before operation `index` takes effect: throw to fail it, return 'cut' to cut the power instead. */
  readonly before?: (operation: Operation, index: number) => 'cut' | void
  /** A seeded bug: these operations say that they were done, and were not. */
  readonly ignores?: (operation: Operation) => boolean
}

export interface VolatileDisk {
  readonly operations: FileOperations
  /** All since the start, in order. */
  readonly log: readonly Operation[]
  /** The disk as it would be mounted after a power loss now. */
  survivors(unsynced: 'nothing' | 'names', options?: Omit<VolatileDiskOptions, 'root'>): VolatileDisk
  openDescriptors(): number
  fileNames(path: string): readonly string[]
}

/** Every operation from the power cut on is lost, its caller never hears of it. */
const LOST = new Promise<never>(() => undefined)

export function failure(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

export function volatileDisk(options: VolatileDiskOptions = {}): VolatileDisk {
  const root = options.root ?? directory()
  const log: Operation[] = []
  const open = new Map<number, { readonly node: Node; readonly path: string }>()
  let nextFd = 3
  let isCut = false

  async function perform<T>(operation: Operation, act: () => T, ignored: T): Promise<T> {
    await Promise.resolve()
    if (isCut) return LOST
    const answer = options.before?.(operation, log.length)
    if (answer === 'cut') {
      isCut = true
      return LOST
    }
    log.push(operation)
    return options.ignores?.(operation) === true ? ignored : act()
  }
  const act = (name: keyof FileOperations, path: string, effect: () => void): Promise<void> =>
    perform({ name, path }, effect, undefined)

  const parentOf = (path: string): Directory => directoryAt(root, dirname(path))
  const opened = (node: Node, path: string): number => {
    open.set(nextFd, { node, path })
    nextFd += 1
    return nextFd - 1
  }
  const put = (path: string, node: Node): void => {
    const { names } = parentOf(path)
    if (names.has(basename(path))) throw failure('EEXIST')
    names.set(basename(path), node)
  }
  const remove = (path: string): void => {
    if (!parentOf(path).names.delete(basename(path))) throw failure('ENOENT')
  }
  const descriptor = (fd: number): { readonly node: Node; readonly path: string } => {
    const found = open.get(fd)
    if (found === undefined) throw failure('EBADF')
    return found
  }
  const pathOf = (fd: number): string => open.get(fd)?.path ?? 'closed'

  const operations: FileOperations = {
    createFile: (path) =>
      perform(
        { name: 'createFile', path },
        () => {
          const node: File = { kind: 'file', bytes: new Uint8Array(), durable: new Uint8Array() }
          put(path, node)
          return opened(node, path)
        },
        0,
      ),
    checkWritable: (path) => act('checkWritable', path, () => void directoryAt(root, path)),
    openForReading: (path) => perform({ name: 'openForReading', path }, () => opened(fileAt(root, path), path), 0),
    read: (fd, bytes, position) =>
      perform(
        { name: 'read', path: pathOf(fd) },
        () => {
          const { node } = descriptor(fd)
          if (node.kind !== 'file') throw failure('EISDIR')
          // Short reads are allowed too.
          const part = node.bytes.subarray(position, position + Math.min(bytes.byteLength, 50))
          bytes.set(part)
          return part.byteLength
        },
        0,
      ),
    openDirectory: (path) => perform({ name: 'openDirectory', path }, () => opened(directoryAt(root, path), path), 0),
    write: (fd, bytes, offset) =>
      perform(
        { name: 'write', path: pathOf(fd) },
        () => {
          const { node } = descriptor(fd)
          if (node.kind !== 'file') throw failure('EISDIR')
          // Short writes are allowed: at most 7 bytes at once.
          const part = bytes.slice(offset, offset + 7)
          node.bytes = Buffer.concat([node.bytes, part])
          return part.byteLength
        },
        bytes.byteLength - offset,
      ),
    fsync: (fd) => act('fsync', pathOf(fd), () => makeDurable(descriptor(fd).node)),
    close: (fd) => act('close', pathOf(fd), () => void open.delete(fd)),
    link: (from, to) => act('link', to, () => put(to, nodeAt(root, from))),
    rename: (from, to) =>
      act('rename', to, () => {
        const node = nodeAt(root, from)
        parentOf(to).names.set(basename(to), node)
        remove(from)
      }),
    unlink: (path) => act('unlink', path, () => remove(path)),
    mkdir: (path) => act('mkdir', path, () => put(path, directory())),
    rmdir: (path) => act('rmdir', path, () => remove(path)),
    readFile: (path) => perform({ name: 'readFile', path }, () => contentAt(root, path), new Uint8Array()),
    readDirectory: (path) =>
      perform(
        { name: 'readDirectory', path },
        () =>
          [...directoryAt(root, path).names].map(([name, node]) => ({ name, isDirectory: node.kind === 'directory' })),
        [],
      ),
    stat: (path) => perform({ name: 'stat', path }, () => factsOf(nodeAt(root, path)), { sizeBytes: 0, modifiedMs: 0 }),
  }

  return {
    operations,
    log,
    survivors: (unsynced, more = {}) => volatileDisk({ ...more, root: survived(root, unsynced) }),
    openDescriptors: () => open.size,
    fileNames: (path) => [...directoryAt(root, path).names.keys()],
  }
}

function factsOf(node: Node): FileFacts {
  return { sizeBytes: node.kind === 'file' ? node.bytes.byteLength : 0, modifiedMs: Date.now() }
}

function directory(names: Map<string, Node> = new Map()): Directory {
  return { kind: 'directory', names, durable: new Map(names) }
}

function makeDurable(node: Node): void {
  if (node.kind === 'file') node.durable = node.bytes
  else node.durable = new Map(node.names)
}

function survived(from: Directory, unsynced: 'nothing' | 'names', seen = new Map<Node, Node>()): Directory {
  const names = unsynced === 'names' ? from.names : from.durable
  return directory(
    new Map(
      [...names].map(([name, node]) => {
        const left = seen.get(node) ?? (node.kind === 'file' ? file(node.durable) : survived(node, unsynced, seen))
        seen.set(node, left)
        return [name, left]
      }),
    ),
  )
}

function file(bytes: Uint8Array): File {
  return { kind: 'file', bytes, durable: bytes }
}

function nodeAt(root: Directory, path: string): Node {
  let at: Node = root
  for (const name of path.split('/').filter((one) => one !== '')) {
    if (at.kind !== 'directory') throw failure('ENOTDIR')
    const next = at.names.get(name)
    if (next === undefined) throw failure('ENOENT')
    at = next
  }
  return at
}

function directoryAt(root: Directory, path: string): Directory {
  const node = nodeAt(root, path)
  if (node.kind !== 'directory') throw failure('ENOTDIR')
  return node
}

function fileAt(root: Directory, path: string): File {
  const node = nodeAt(root, path)
  if (node.kind !== 'file') throw failure('EISDIR')
  return node
}

function contentAt(root: Directory, path: string): Uint8Array {
  return new Uint8Array(fileAt(root, path).bytes)
}
