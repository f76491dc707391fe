/**
 * A sink of your own, exactly-once and small: the lines between two checkpoints become one text file.
 *
 * prepare: they are on disk, in a hidden file. The checkpoint completes. commit: the file gets its visible name. A crash in between leaves a
 * hidden file: the next start commits it if a checkpoint holds it, else it removes it (`abortStale`). The visible file is the evidence that
 * a commit was done, so readers leave it where it is.
 */
import { access, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  jsonCodec,
  type AbortPermit,
  type AbortReport,
  type CommitOutcome,
  type CommitPermit,
  type Committer,
  type CommitRequest,
  type Sink,
  type SinkBatch,
  type SinkWriter,
  type StaleScope,
  type WriterContext,
} from 'sluice'

/** What a checkpoint holds of the sink: enough for any process, on any day, to commit. */
export interface TextFile {
  readonly directory: string
  readonly name: string
}

export interface TextSinkOptions<T> {
  /** Relative to the working directory of the run. */
  readonly directory: string
  readonly toLine: (record: T) => string
}

export function textSink<T>({ directory, toLine }: TextSinkOptions<T>): Sink<T, TextFile> {
  return {
    kind: 'text',
    guarantee: 'exactly-once',
    committableCodec: jsonCodec<TextFile>(),
    validate: () => Promise.resolve(),
    scope: () => new TextEncoder().encode(directory),
    createWriter: async (context) => {
      const path = resolve(context.baseDirectory, directory)
      await mkdir(path, { recursive: true })
      return new TextWriter<T>(path, toLine, context)
    },
    createCommitter: ({ baseDirectory }) => Promise.resolve(new TextCommitter(baseDirectory)),
  }
}

class TextWriter<T> implements SinkWriter<T, TextFile> {
  /** `prepareCommit` takes the open file away before it first waits: what is written meanwhile goes to a new one. */
  readonly overlapsPrepare = true
  readonly #directory: string
  readonly #toLine: (record: T) => string
  readonly #context: WriterContext
  #open: { readonly name: string; readonly handle: FileHandle } | undefined

  constructor(directory: string, toLine: (record: T) => string, context: WriterContext) {
    this.#directory = directory
    this.#toLine = toLine
    this.#context = context
  }

  async write({ values }: SinkBatch<T>): Promise<void> {
    // No file for nothing.
    if (values.length === 0) return
    const text = values.map((value) => `${this.#toLine(value)}\n`).join('')
    if (this.#open === undefined) {
      // Never given twice, by any process; `wx` says so too.
      const name = this.#context.nextName()
      this.#open = { name, handle: await open(join(this.#directory, hidden(name)), 'wx') }
    }
    await this.#open.handle.appendFile(text)
  }

  async prepareCommit(): Promise<readonly TextFile[]> {
    const written = this.#open
    this.#open = undefined
    if (written === undefined) return []
    await written.handle.sync()
    await written.handle.close()
    await syncDirectory(this.#directory)
    return [{ directory: this.#directory, name: written.name }]
  }

  /** What is prepared stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.handle.close()
    this.#open = undefined
  }
}

/** Keeps no state: what is on disk says what was done. */
class TextCommitter implements Committer<TextFile> {
  readonly #baseDirectory: string

  constructor(baseDirectory: string) {
    this.#baseDirectory = baseDirectory
  }

  /** One after another; behind one that could not be committed nothing may become visible. */
  async commit(_permit: CommitPermit, requests: readonly CommitRequest<TextFile>[]): Promise<readonly CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    let isBlocked = false
    for (const { committable } of requests) {
      const outcome: CommitOutcome = isBlocked
        ? { kind: 'retry', cause: 'one before it could not be committed' }
        : await commitFile(committable)
      isBlocked ||= outcome.kind !== 'committed' && outcome.kind !== 'already-committed'
      outcomes.push(outcome)
    }
    return outcomes
  }

  /** Hidden files of processes that are gone, if no checkpoint holds them. */
  async abortStale(_permit: AbortPermit, stale: StaleScope<TextFile>): Promise<AbortReport> {
    const kept = new Set(stale.keep.map(({ name }) => hidden(name)))
    let aborted = 0
    for (const directory of new Set(stale.scopes.map(({ scope }) => new TextDecoder().decode(scope)))) {
      const path = resolve(this.#baseDirectory, directory)
      for (const file of await readdir(path).catch(() => [])) {
        if (!file.startsWith('.') || kept.has(file) || !stale.isStale(file.slice(1, -EXTENSION.length))) continue
        await rm(join(path, file), { force: true })
        aborted += 1
      }
    }
    return { aborted, clean: true }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

async function commitFile({ directory, name }: TextFile): Promise<CommitOutcome> {
  const [from, to] = [join(directory, hidden(name)), join(directory, visible(name))]
  try {
    await rename(from, to)
    await syncDirectory(directory)
    return { kind: 'committed' }
  } catch (cause) {
    if (await isThere(from)) return { kind: 'retry', cause }
  }
  // A commit is asked for again when nobody could hear its answer: after a crash, or of two processes.
  if (!(await isThere(to))) return { kind: 'lost', reason: `${from} is gone, and so is ${to}` }
  await syncDirectory(directory)
  return { kind: 'already-committed' }
}

const EXTENSION = '.txt'

function visible(name: string): string {
  return `${name}${EXTENSION}`
}

function hidden(name: string): string {
  return `.${visible(name)}`
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** A new name survives a power cut only behind this. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path)
  await directory.sync()
}
