/**
 * A savepoint by the place it was copied to. The store there is only read, and stays open for as long as the savepoint is used.
 */
import { openStore } from '../checkpoint-store/open-store.ts'
import { codeOf, TerminalError, type CheckpointStore } from '../engine/api/index.ts'
import type { Restore } from '../engine/coordinator/restoration.ts'
import { openSavepoint, type Savepoint } from '../engine/coordinator/savepoint.ts'
import type { RestoreArgument } from './arguments.ts'

export interface OpenedSavepoint extends AsyncDisposable {
  readonly savepoint: Savepoint
  readonly store: CheckpointStore
}

/** What `--restore` says, opened where it is a place. */
export async function openRestore(asked: RestoreArgument): Promise<{ readonly restore: Restore } & AsyncDisposable> {
  if (typeof asked !== 'object') return { restore: asked, [Symbol.asyncDispose]: () => Promise.resolve() }
  const opened = await openSavepointAt(asked.uri)
  return { restore: opened.savepoint, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
}

/** @throws TerminalError where there is none; CorruptCheckpointError for one that is damaged */
export async function openSavepointAt(uri: string): Promise<OpenedSavepoint> {
  const store = await openPlace(uri)
  try {
    return { savepoint: await openSavepoint(store), store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  } catch (error) {
    await store[Symbol.asyncDispose]()
    throw error
  }
}

async function openPlace(uri: string): Promise<CheckpointStore> {
  try {
    return await openStore(uri, { access: 'read' })
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error
    const why = codeOf(error) === 'SLUICE_STORE_MISSING' ? 'nothing is there' : error.message
    throw new TerminalError(
      `there is no savepoint at ${uri} (${why}): give the place that one was copied to, the number of a checkpoint, latest or none`,
      { cause: error, code: 'SLUICE_SAVEPOINT_MISSING' },
    )
  }
}
