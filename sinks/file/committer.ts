/**
 * Renames hidden parts to their visible names. Keeps no state (S1): what is on disk says what was done.
 *
 * | hidden part | second link | answer |
 * | --- | --- | --- |
 * | there | there or not | rename: committed |
 * | gone | there | already committed, wherever the visible file is by now |
 * | gone | gone | lost (after `forget` nobody asks) |
 */
import { access, readdir, rename, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { AbortReport, CommitOutcome, CommitPermit, CommitRequest, Committer, StaleScope } from '../../engine/api/index.ts'
import { hiddenPart, keptLink, nameInHidden, type FilePart } from './committable.ts'
import { syncDirectory } from './directory.ts'

export class FileCommitter implements Committer<FilePart> {
  readonly #baseDirectory: string

  constructor(baseDirectory: string) {
    this.#baseDirectory = baseDirectory
  }

  async commit(_permit: CommitPermit, requests: readonly CommitRequest<FilePart>[]): Promise<readonly CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    for (const { committable } of requests) outcomes.push(await commitPart(committable))
    for (const directory of new Set(requests.map(({ committable }) => committable.directory))) {
      try {
        await syncDirectory(directory)
      } catch (cause) {
        return requests.map(() => ({ kind: 'unknown', cause }))
      }
    }
    return outcomes
  }

  async forget(committables: readonly FilePart[]): Promise<void> {
    await Promise.all(committables.map(({ directory, name }) => removeIfThere(join(directory, keptLink(name)))))
  }

  async abortStale(_permit: unknown, stale: StaleScope<FilePart>): Promise<AbortReport> {
    const keep = new Set(stale.keep.map((part) => part.name))
    const decoder = new TextDecoder()
    const directories = new Set(
      stale.scopes.map((scope) => {
        const { directory } = JSON.parse(decoder.decode(scope)) as { readonly directory: string }
        return resolve(this.#baseDirectory, directory)
      }),
    )
    let aborted = 0
    for (const directory of directories) {
      for (const file of await readdirIfThere(directory)) {
        const name = nameInHidden(file)
        if (name === undefined || keep.has(name) || !stale.isStale(name)) continue
        await removeIfThere(join(directory, file))
        aborted += 1
      }
    }
    return { aborted, clean: true }
  }

  async inspect(committables: readonly FilePart[]): Promise<readonly ('prepared' | 'committed' | 'gone')[]> {
    return Promise.all(
      committables.map(async ({ directory, name }) => {
        if (await isThere(join(directory, hiddenPart(name)))) return 'prepared'
        return (await isThere(join(directory, keptLink(name)))) ? 'committed' : 'gone'
      }),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

async function commitPart(part: FilePart): Promise<CommitOutcome> {
  const hidden = join(part.directory, hiddenPart(part.name))
  try {
    await rename(hidden, join(part.directory, part.visible))
    return { kind: 'committed' }
  } catch (cause) {
    if (!isMissing(cause)) return { kind: 'retry', cause }
  }
  // The second link is made before anybody may commit and removed only when nobody asks any more.
  if (await isThere(join(part.directory, keptLink(part.name)))) return { kind: 'already-committed' }
  return { kind: 'lost', reason: `${hidden} is gone, and so is its second link` }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error
  })
}

async function readdirIfThere(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
