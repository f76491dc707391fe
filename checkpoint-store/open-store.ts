/**
 * A checkpoint store by its URI: `file:` or a plain path, `memory:` for tests. A scheme is a row in one table; a store with a vendor
 * package is imported only when asked for.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TerminalError, type CheckpointStore } from '../engine/api/index.ts'
import { diskStore, type StoreAccess } from './disk.ts'
import { memoryStore } from './memory.ts'

type Open = (uri: string, options: Required<OpenOptions>) => Promise<CheckpointStore>

/** Where relative paths begin, and what for. */
export interface OpenOptions {
  /** Relative paths are relative to it; default the working directory. */
  readonly baseDirectory?: string
  /** `read`: a store that is not there is refused, not made. Default `write`. */
  readonly access?: StoreAccess
}

const schemes: Readonly<Record<string, Open>> = {
  file: (uri, { baseDirectory, access }) => diskStore({ directory: directoryOf(uri, baseDirectory), access }),
  memory: (uri) => Promise.resolve(memoryStore({ uri })),
}

/**
 * `uri`: `file:///var/sluice`, `file:checkpoints`, `checkpoints`, `memory:`.
 * @throws TerminalError for what it does not know
 */
export async function openStore(uri: string, options: OpenOptions = {}): Promise<CheckpointStore> {
  const { baseDirectory = process.cwd(), access = 'write' } = options
  if (uri === '')
    throw new TerminalError('the checkpoint store is empty text: give a directory, like "checkpoints"', {
      code: 'SLUICE_STORE_URI_INVALID',
    })
  // One letter is a Windows drive.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(uri)?.[1]?.toLowerCase()
  if (scheme === undefined) return diskStore({ directory: resolve(baseDirectory, uri), access })
  const open = Object.hasOwn(schemes, scheme) ? schemes[scheme] : undefined
  if (open !== undefined) return open(uri, { baseDirectory, access })
  throw new TerminalError(
    `no checkpoint store for "${scheme}:"; use one of ${Object.keys(schemes)
      .map((known) => `${known}:`)
      .join(', ')} or a plain path`,
    { code: 'SLUICE_STORE_URI_INVALID' },
  )
}

function directoryOf(uri: string, baseDirectory: string): string {
  if (!uri.toLowerCase().startsWith('file://')) return resolve(baseDirectory, uri.slice('file:'.length))
  try {
    return fileURLToPath(uri)
  } catch (cause) {
    throw new TerminalError(`${JSON.stringify(uri)} is not a file URI with an absolute path, like file:///var/sluice`, {
      code: 'SLUICE_STORE_URI_INVALID',
      cause,
    })
  }
}
