/**
 * Which files completed checkpoints have confirmed, read off the store with nothing of the engine: an entry of the log is a line with its
 * checksum, then JSON. Numbers have no gaps, so whether the next one is there is one attempt to open it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Entry {
  readonly kind: string
  readonly retained: readonly Retained[]
}

interface Retained {
  readonly checkpoint: number
  readonly inline?: Manifest
  /** Where the manifest lies when it is not in the entry. */
  readonly key?: string
}

interface Manifest {
  readonly operators: readonly { readonly committables?: readonly { readonly bytes: string }[] }[]
}

const DIGITS = 12

export class CheckpointLog {
  /** The checkpoint that completed with it, by file name. */
  readonly #confirmed = new Map<string, number>()
  readonly #store: string
  readonly #job: string
  #read = 0

  constructor(store: string, job: string) {
    this.#store = store
    this.#job = job
  }

  /** The checkpoint that confirmed this file; undefined: none that has completed. */
  confirmedBy(file: string): number | undefined {
    return this.#confirmed.get(file)
  }

  /** Reads what was appended since. */
  readOn(): void {
    for (let text = this.#next(); text !== undefined; text = this.#next()) {
      this.#read += 1
      const entry = JSON.parse(text.slice(text.indexOf('\n') + 1)) as Entry
      const completed = entry.kind === 'completed' ? entry.retained.at(-1) : undefined
      if (completed !== undefined) this.#take(completed)
    }
  }

  #next(): string | undefined {
    return readOrNothing(join(this.#store, this.#job, 'log', String(this.#read + 1).padStart(DIGITS, '0')))
  }

  #take({ checkpoint, inline, key = '' }: Retained): void {
    const manifest = inline ?? (JSON.parse(readFileSync(join(this.#store, key), 'utf8')) as Manifest)
    for (const { bytes } of manifest.operators.flatMap((one) => one.committables ?? [])) {
      const { visible } = JSON.parse(Buffer.from(bytes, 'base64').toString()) as { readonly visible: string }
      if (!this.#confirmed.has(visible)) this.#confirmed.set(visible, checkpoint)
    }
  }
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
