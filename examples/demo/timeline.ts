/** What has happened so far, life by life: folded from events, for pictures and for the table at the end. */
import type { DemoEvent, LifeEnd } from './demo-event.ts'

export interface Life {
  readonly spawnedAtMs: number
  /** The checkpoint that it went on from; null: none; undefined: it has not said so (yet). */
  restored?: number | null
  /** When the reader saw its first new output. */
  firstSeenAtMs?: number
  readonly checkpointsAtMs: number[]
  over?: { readonly atMs: number; readonly how: LifeEnd }
  /** Orders and totals that the reader had seen at its end. */
  visible: number
}

export interface Timeline {
  readonly beganAtMs: number
  readonly lives: readonly Life[]
  /** So far, in all files. */
  readonly visible: { readonly enriched: number; readonly totals: number; readonly files: number }
  readonly checkpoints: number
  readonly wrongs: readonly string[]
  readonly sabotage: string | undefined
}

export class TimelineFold {
  readonly #lives: Life[] = []
  readonly #wrongs: string[] = []
  #visible = { enriched: 0, totals: 0, files: 0 }
  #checkpoints = 0
  #sabotage: string | undefined

  get timeline(): Timeline {
    return {
      beganAtMs: this.#lives[0]?.spawnedAtMs ?? 0,
      lives: this.#lives,
      visible: this.#visible,
      checkpoints: this.#checkpoints,
      wrongs: this.#wrongs,
      sabotage: this.#sabotage,
    }
  }

  take(event: DemoEvent): void {
    if (event.kind === 'spawned') {
      const visible = this.#visible.enriched
      this.#lives.push({ spawnedAtMs: event.atMs, checkpointsAtMs: [], visible })
    }
    const life = this.#lives.at(-1)
    if (event.kind === 'wrong') this.#wrongs.push(event.text)
    if (event.kind === 'sabotaged') this.#sabotage = event.text
    if (life === undefined) return
    if (event.kind === 'running') life.restored = event.restored
    if (event.kind === 'over') life.over = event
    if (event.kind === 'completed') {
      this.#checkpoints += 1
      life.checkpointsAtMs.push(event.atMs)
    }
    if (event.kind === 'seen') {
      const { enriched, totals, files } = this.#visible
      this.#visible = { enriched, totals, files: files + 1, [event.sink]: this.#visible[event.sink] + event.records }
      life.firstSeenAtMs ??= event.atMs
      life.visible = this.#visible.enriched
    }
  }
}

/** From its start to its first new output. */
export function recoveryMsOf({ spawnedAtMs, firstSeenAtMs }: Life): number | undefined {
  return firstSeenAtMs === undefined ? undefined : firstSeenAtMs - spawnedAtMs
}

export function lengthMsOf({ spawnedAtMs, over }: Life, nowMs: number): number {
  return (over?.atMs ?? nowMs) - spawnedAtMs
}
