/**
 * What is true outside all processes: the log as it is stored, and who may do what by it. Watches every write and delete of the store and
 * notes what breaks an invariant, at the moment it happens.
 */
import { decodeLogEntry, type LogEntry, type RetainedCheckpoint } from '../../engine/checkpoint/log-entry.ts'
import { blobsOf, type Manifest } from '../../engine/checkpoint/manifest.ts'
import { preparedIn } from './cut.ts'

export interface Limits {
  readonly maxUncommittedEpochs: number
  readonly retained: number
}

interface Held {
  readonly sink: string
  /** The checkpoint whose completion holds it. */
  readonly checkpoint: number
}

export class Truth {
  readonly job: string
  readonly violations: string[] = []
  /** How many comparisons were made. */
  facts = 0
  newest: LogEntry | undefined
  readonly files = new Map<string, Uint8Array>()
  /** External names that some completed checkpoint holds. */
  readonly held = new Map<string, Held>()
  /** A generation has started: every other process that still runs is a zombie from now on. */
  onStarted: (entry: LogEntry) => void = () => undefined
  /** Its entry is durable, and what it holds is in `held`. */
  onCompleted: (manifest: Manifest) => void = () => undefined
  completed = 0
  readonly #limits: Limits
  /** Files are written once. */
  readonly #manifests = new Map<string, Manifest>()
  #newestCompleted = 0

  constructor(job: string, limits: Limits) {
    this.job = job
    this.#limits = limits
  }

  expect(isTrue: boolean, message: () => string): void {
    this.facts += 1
    if (!isTrue && this.violations.length < 50) this.violations.push(message())
  }

  /** `bytes` are now stored under `key`. */
  stored(key: string, bytes: Uint8Array): void {
    this.expect(!this.files.has(key), () => `${key} is written over (C5)`)
    this.files.set(key, bytes)
    if (key.startsWith(`${this.job}/log/`)) this.#appended(decodeLogEntry(key, bytes))
  }

  deleted(key: string, by: number): void {
    if (!this.files.delete(key)) return
    const isReferred = this.newest !== undefined && this.referredKeys(this.newest).has(key)
    this.expect(!isReferred, () => `process ${by} deletes ${key}, which the newest entry refers to (C3)`)
    const owner = /\/blob\/(\d+)\//.exec(key)?.[1]
    const isNewer = owner !== undefined && Number(owner) > this.#generationOf(by)
    this.expect(!isNewer, () => `process ${by} deletes ${key} of a newer generation (C3)`)
    this.expect(!key.startsWith(`${this.job}/log/`), () => `process ${by} deletes the log entry ${key} in a short life`)
  }

  /** Names opened or prepared outside that no completed checkpoint holds, and whose process is dead. */
  leftovers: () => readonly { readonly sink: string; readonly name: string }[] = () => []

  /** Is a transaction of this name durable at the sink? */
  isPrepared: (sink: string, name: string) => boolean = () => true

  /** Newest generation that a process started. */
  readonly generations = new Map<number, number>()

  #generationOf(process: number): number {
    return this.generations.get(process) ?? Number.POSITIVE_INFINITY
  }

  referredKeys(entry: LogEntry): ReadonlySet<string> {
    const keys = entry.retained.flatMap((one) => {
      const blobs = this.#manifestOf(one)?.operators.flatMap((operator) => blobsOf(operator).map((blob) => blob.key))
      return [...('key' in one ? [one.key] : []), ...(blobs ?? [])]
    })
    return new Set(keys)
  }

  /** Commits of all checkpoints up to here are facts by the log. */
  get committedThrough(): number {
    return this.newest?.committedThrough ?? 0
  }

  isDue(name: string): boolean {
    const held = this.held.get(name)
    return held !== undefined && held.checkpoint > this.committedThrough
  }

  manifests(): readonly Manifest[] {
    return (this.newest?.retained ?? []).flatMap((one) => this.#manifestOf(one) ?? [])
  }

  #manifestOf(one: RetainedCheckpoint): Manifest | undefined {
    if ('inline' in one) return one.inline
    const bytes = this.files.get(one.key)
    this.expect(bytes !== undefined, () => `the manifest ${one.key} of checkpoint ${one.checkpoint} is missing (C2)`)
    if (bytes === undefined) return undefined
    const known = this.#manifests.get(one.key)
    if (known !== undefined) return known
    const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest
    this.#manifests.set(one.key, manifest)
    return manifest
  }

  #appended(entry: LogEntry): void {
    const before = this.newest
    this.newest = entry
    this.expect(entry.seq === (before?.seq ?? 0) + 1, () => `entry ${entry.seq} follows ${before?.seq ?? 0} (C5)`)
    const isOlder = entry.generation < (before?.generation ?? 0)
    this.expect(!isOlder, () => `generation ${entry.generation} appends after ${before?.generation} started (C3)`)
    if (entry.kind === 'started') this.onStarted(entry)
    this.expect(
      entry.committedThrough >= (before?.committedThrough ?? 0),
      () => `committedThrough goes back from ${before?.committedThrough} to ${entry.committedThrough}`,
    )
    if (entry.kind === 'completed') this.#completed(entry)
    this.#nothingDropped(entry, before)
    this.#uncleanIsNamed(entry)
    this.#bounded(entry)
  }

  #completed(entry: LogEntry): void {
    const one = entry.retained.at(-1)
    const manifest = one === undefined ? undefined : this.#manifestOf(one)
    if (manifest === undefined) return
    this.completed += 1
    const { checkpoint } = manifest
    this.expect(
      checkpoint > this.#newestCompleted,
      () => `checkpoint ${checkpoint} completes after ${this.#newestCompleted} (C5)`,
    )
    this.#newestCompleted = checkpoint
    for (const key of this.referredKeys(entry)) {
      this.expect(this.files.has(key), () => `checkpoint ${checkpoint} refers to ${key}, which is not there (C4)`)
    }
    for (const { sink, name } of preparedIn(manifest)) {
      const other = this.held.get(name)
      this.expect(other === undefined, () => `${name} is held by checkpoints ${other?.checkpoint} and ${checkpoint}`)
      this.held.set(name, { sink, checkpoint })
      this.expect(this.isPrepared(sink, name), () => `${checkpoint} completes, but ${name} is not prepared (C4)`)
    }
    this.onCompleted(manifest)
  }

  #nothingDropped(entry: LogEntry, before: LogEntry | undefined): void {
    const kept = new Set(entry.retained.map((one) => one.checkpoint))
    for (const one of before?.retained ?? []) {
      if (one.checkpoint <= entry.committedThrough) continue
      this.expect(kept.has(one.checkpoint), () => `entry ${entry.seq} drops ${one.checkpoint}, which is due (C2)`)
    }
    const isGone = (before?.retained.length ?? 0) > 0 && entry.retained.length === 0
    this.expect(!isGone, () => `entry ${entry.seq} retains nothing any more (C2)`)
  }

  /** A scope leaves the log when nothing is left in it (F34). */
  #uncleanIsNamed(entry: LogEntry): void {
    for (const { sink, name } of this.leftovers()) {
      const generation = Number(name.split('--')[2])
      // Our own scope does not count: it says nothing of what others have left.
      const isNamed = entry.unclean.some(
        (one) => one.operator === sink && one.generation >= generation && one.generation < entry.generation,
      )
      if (generation >= entry.generation) continue
      this.expect(isNamed, () => `entry ${entry.seq} calls ${sink} clean, but ${name} is left`)
    }
  }

  #bounded(entry: LogEntry): void {
    const due = entry.retained.filter((one) => one.checkpoint > entry.committedThrough).length
    const { maxUncommittedEpochs, retained } = this.#limits
    this.expect(due <= maxUncommittedEpochs, () => `${due} epochs are uncommitted in entry ${entry.seq} (C8)`)
    const most = retained + maxUncommittedEpochs
    this.expect(entry.retained.length <= most, () => `entry ${entry.seq} retains ${entry.retained.length} (C8)`)
    this.expect(entry.failures.length <= 10, () => `entry ${entry.seq} keeps ${entry.failures.length} failures (C8)`)
    const { unclean } = entry
    const sinks = new Set(unclean.map(({ operator }) => operator)).size
    this.expect(unclean.length <= 4 * sinks, () => `entry ${entry.seq} names ${unclean.length} unclean scopes (C8)`)
  }
}
