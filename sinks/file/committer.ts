/**
 * Renames hidden parts to their visible names. Keeps no state (S1): what is on disk says what was done.
 *
 * | hidden part | second link | answer |
 * | --- | --- | --- |
 * | there | there or not | rename: committed |
 * | gone | there | already committed, wherever the visible file is by now |
 * | gone | gone | lost (after `forget` nobody asks) |
 *
 * A rename, never a link: from one call to the next a consumer may take the visible file away, and only a rename takes its source along,
 * so that no repeat, however late and from whichever process, can bring the file back (F33, C3).
 */
import { join, resolve } from 'node:path'
import {
  assert,
  type AbortPermit,
  type AbortReport,
  type CommitOutcome,
  type CommitPermit,
  type CommitRequest,
  type Committer,
  type StaleScope,
} from '../../engine/api/index.ts'
import { isThere, syncDirectory } from '../../clients/file/directory.ts'
import { codeOf, type FileOperations } from '../../clients/file/operations.ts'
import { hiddenPart, keptLink, nameInHidden, type FilePart } from './committable.ts'
import type { OpenPart } from './open-part.ts'

export interface FileCommitterOptions {
  /** Directories in scopes are relative to this one. */
  readonly baseDirectory: string
  readonly fs: FileOperations
}

export class FileCommitter implements Committer<FilePart, OpenPart> {
  readonly #options: FileCommitterOptions

  constructor(options: FileCommitterOptions) {
    this.#options = options
  }

  /** One after another, up to the first that cannot be: what comes after it must not be visible before it (C6). */
  async commit(_permit: CommitPermit, requests: readonly CommitRequest<FilePart>[]): Promise<readonly CommitOutcome[]> {
    const { fs } = this.#options
    const outcomes: CommitOutcome[] = []
    for (const { committable } of requests) {
      const outcome = await commitPart(committable, fs)
      outcomes.push(outcome)
      if (outcome.kind !== 'committed' && outcome.kind !== 'already-committed') break
    }
    const blocker = requests[outcomes.length - 1]?.committable.name
    const done = requests.slice(0, outcomes.length)
    // Also when all had been renamed before: whoever did it may have died before this.
    for (const directory of new Set(done.map(({ committable }) => committable.directory))) {
      try {
        await syncDirectory(directory, fs)
      } catch (cause) {
        return requests.map((_, index) =>
          outcomes[index]?.kind === 'lost' ? outcomes[index] : { kind: 'unknown', cause },
        )
      }
    }
    return requests.map((_, index) => outcomes[index] ?? { kind: 'retry', cause: `it comes after ${blocker}` })
  }

  async forget(committables: readonly FilePart[]): Promise<void> {
    const { fs } = this.#options
    for (const { directory, name, replaces } of committables) {
      await removeIfThere(join(directory, keptLink(name)), fs)
      if (replaces === undefined) continue
      await removeIfThere(join(replaces.directory, hiddenPart(replaces.name)), fs)
      await removeIfThere(join(replaces.directory, keptLink(replaces.name)), fs)
    }
  }

  async abortStale(_permit: AbortPermit, stale: StaleScope<FilePart, OpenPart>): Promise<AbortReport> {
    const { baseDirectory } = this.#options
    const directories = new Set(stale.scopes.map(({ scope }) => resolve(baseDirectory, directoryInScope(scope))))
    const reports: AbortReport[] = []
    for (const directory of directories) reports.push(await this.#sweep(directory, stale))
    return {
      aborted: reports.reduce((sum, { aborted }) => sum + aborted, 0),
      clean: reports.every(({ clean }) => clean),
    }
  }

  async inspect(committables: readonly FilePart[]): Promise<readonly ('prepared' | 'committed' | 'gone')[]> {
    const { fs } = this.#options
    return Promise.all(
      committables.map(async ({ directory, name }) => {
        if (await isThere(join(directory, hiddenPart(name)), fs)) return 'prepared'
        return (await isThere(join(directory, keptLink(name)), fs)) ? 'committed' : 'gone'
      }),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  async #sweep(directory: string, stale: StaleScope<FilePart, OpenPart>): Promise<AbortReport> {
    const { fs } = this.#options
    const keep = new Set(stale.keep.map((part) => part.name))
    // Of an open part its content alone: a second link is evidence of a commit that `keep` does not list.
    const open = new Set(stale.keepWriterState.map((part) => hiddenPart(part.name)))
    let entries: readonly { readonly name: string }[]
    try {
      entries = await fs.readDirectory(directory)
    } catch (error) {
      return { aborted: 0, clean: codeOf(error) === 'ENOENT' }
    }
    let aborted = 0
    let clean = true
    for (const { name: file } of entries) {
      const name = nameInHidden(file)
      if (name === undefined || keep.has(name) || open.has(file) || !stale.isStale(name)) continue
      try {
        await fs.unlink(join(directory, file))
        aborted += 1
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') clean = false
      }
    }
    return { aborted, clean }
  }
}

/** What `abortStale` of a later generation must know: where to look. */
export function scopeOf(directory: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ directory }))
}

function directoryInScope(scope: Uint8Array): string {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(scope))
  const directory =
    typeof parsed === 'object' && parsed !== null && 'directory' in parsed ? parsed.directory : undefined
  assert(typeof directory === 'string', () => `not the scope of a file sink: ${JSON.stringify(parsed)}`)
  return directory
}

async function commitPart(part: FilePart, fs: FileOperations): Promise<CommitOutcome> {
  const hidden = join(part.directory, hiddenPart(part.name))
  try {
    const { sizeBytes } = await fs.stat(hidden)
    if (sizeBytes !== part.sizeBytes) {
      return { kind: 'lost', reason: `${hidden} has ${sizeBytes} bytes, ${part.sizeBytes} were prepared` }
    }
    await fs.rename(hidden, join(part.directory, part.visible))
    return { kind: 'committed' }
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') return { kind: 'retry', cause }
  }
  // The second link is durable before anybody may commit and removed only when nobody asks any more.
  try {
    if (await isThere(join(part.directory, keptLink(part.name)), fs)) return { kind: 'already-committed' }
  } catch (cause) {
    return { kind: 'unknown', cause }
  }
  return {
    kind: 'lost',
    reason: `${hidden} is gone and so is its second link: removed by hand, or ${part.directory} is not the directory it was`,
  }
}

async function removeIfThere(path: string, fs: FileOperations): Promise<void> {
  await fs.unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}
