/**
 * Keyed state beside a reference that is plain Maps: random operations, cuts with slices between them, abandons, completions and restores.
 * What was got is mutated now and then. After each restore everything is compared.
 */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import type { BlobReference, KeyedStateHandle } from '../../engine/checkpoint/manifest.ts'
import { list, map, value, type ListState, type MapState, type ValueState } from '../../engine/graph/descriptors.ts'
import {
  createKeyedStateBackend,
  restoreKeyedState,
  type KeyedSnapshot,
} from '../../engine/state/keyed-state-backend.ts'

export interface Box {
  n: number
}
export type Seed = 'none' | 'F30' | 'F31'

export type Step =
  | {
      readonly op: 'count' | 'clear-count' | 'clear-box' | 'list-clear' | 'map-clear' | 'mutate-list'
      readonly key: number
    }
  | { readonly op: 'box' | 'mutate' | 'list-add' | 'list-set'; readonly key: number; readonly n: number }
  | {
      readonly op: 'map-set' | 'map-delete' | 'map-mutate'
      readonly key: number
      readonly element: number
      readonly n: number
    }
  | { readonly op: 'cut' | 'slice' | 'abandon' | 'complete' | 'restore' | 'idle' }

const KEYS: readonly unknown[] = ['a', 'b', '\u0001x', 1, '1', true, 7n, ['t', 2], 'ähm', 'last']
const key = fc.nat(KEYS.length - 1)
const n = fc.integer({ min: -1000, max: 1000 })
const element = fc.nat(5)

export const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constantFrom('count', 'clear-count', 'clear-box', 'list-clear', 'map-clear', 'mutate-list'),
        key,
      }),
    },
    { weight: 5, arbitrary: fc.record({ op: fc.constantFrom('box', 'mutate', 'list-add', 'list-set'), key, n }) },
    {
      weight: 5,
      arbitrary: fc.record({ op: fc.constantFrom('map-set', 'map-delete', 'map-mutate'), key, element, n }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        op: fc.constantFrom('cut', 'slice', 'slice', 'abandon', 'complete', 'complete', 'restore', 'idle'),
      }),
    },
  ),
  { minLength: 20, maxLength: 120, size: 'max' },
) as fc.Arbitrary<readonly Step[]>

interface Truth {
  count?: number
  box?: Box
  items: Box[]
  elements: Map<unknown, Box | number>
}
const DESCRIPTORS = {
  items: list<Box>(),
  count: value(() => -1),
  elements: map<string | number, Box | number>(),
  box: value<Box | null>(() => null),
}
const MAX_PARALLELISM = 4

export class World {
  readonly seed: Seed
  compared = 0
  restores = 0
  backend = createKeyedStateBackend({ descriptors: DESCRIPTORS, maxParallelism: MAX_PARALLELISM })
  truth = new Map<number, Truth>()
  blobs = new Map<string, Uint8Array>()
  checkpoint = 0
  base: number | null = null
  completed: { id: number; handle: KeyedStateHandle; truth: Map<number, Truth> } | undefined
  inFlight: { id: number; snapshot: KeyedSnapshot; truth: Map<number, Truth> } | undefined

  constructor(seed: Seed) {
    this.seed = seed
  }

  async run(all: readonly Step[]): Promise<void> {
    for (const step of all) await this.step(step)
    if (this.inFlight !== undefined) this.complete()
    await this.restore()
  }

  async step(step: Step): Promise<void> {
    if ('key' in step) return this.change(step)
    if (step.op === 'cut') this.cut()
    else if (step.op === 'slice') this.inFlight?.snapshot.encodeSlice()
    else if (step.op === 'abandon') this.abandon()
    else if (step.op === 'complete') this.complete()
    else if (step.op === 'idle') this.backend.restoreIdleSlice()
    else await this.restore()
  }

  change(step: Extract<Step, { readonly key: number }>): void {
    let truth = this.truth.get(step.key)
    if (truth === undefined) this.truth.set(step.key, (truth = { items: [], elements: new Map() }))
    this.backend.setCurrentKey(KEYS[step.key])
    const { count, box, items, elements } = this.handles()
    const k = 'element' in step ? (step.element % 2 === 0 ? step.element : `${step.element}`) : 0
    switch (step.op) {
      case 'count':
        count.set(count.get() + 1)
        truth.count = (truth.count ?? -1) + 1
        return
      case 'clear-count':
        count.clear()
        delete truth.count
        return
      case 'box':
        box.set({ n: step.n })
        truth.box = { n: step.n }
        return
      case 'clear-box':
        box.clear()
        delete truth.box
        return
      case 'mutate': {
        const got = box.get()
        if (got === null) return
        mutable(got).n = step.n
        box.set(got)
        truth.box = { n: step.n }
        return
      }
      case 'list-add':
        items.add({ n: step.n })
        truth.items.push({ n: step.n })
        return
      case 'list-set': {
        const length = Math.abs(step.n) % 150
        items.set(Array.from({ length }, (_, index) => ({ n: index })))
        truth.items = Array.from({ length }, (_, index) => ({ n: index }))
        return
      }
      case 'mutate-list': {
        const got = items.get()
        for (const one of got) mutable(one).n += 1
        items.set(got)
        truth.items = truth.items.map((one) => ({ n: one.n + 1 }))
        return
      }
      case 'list-clear':
        items.clear()
        truth.items = []
        return
      case 'map-clear':
        elements.clear()
        truth.elements.clear()
        return
      case 'map-set':
        elements.set(k, step.n % 2 === 0 ? step.n : { n: step.n })
        truth.elements.set(k, step.n % 2 === 0 ? step.n : { n: step.n })
        return
      case 'map-delete':
        elements.delete(k)
        truth.elements.delete(k)
        return
      case 'map-mutate': {
        const got = elements.get(k)
        if (typeof got !== 'object') return
        mutable(got).n = step.n
        elements.set(k, got)
        truth.elements.set(k, { n: step.n })
      }
    }
  }

  cut(): void {
    if (this.inFlight !== undefined) return
    this.checkpoint += 1
    // F30 seeded: deltas since the last attempt, instead of since the newest completed checkpoint.
    const base = this.seed === 'F30' && this.base !== null ? this.checkpoint - 1 : this.base
    const snapshot = this.backend.cut(this.checkpoint, base)
    // F31 seeded: what changes while the snapshot is being sliced is not captured before.
    if (this.seed === 'F31') Object.assign(snapshot, { beforeChange: () => undefined })
    this.inFlight = { id: this.checkpoint, snapshot, truth: structuredClone(this.truth) }
  }

  abandon(): void {
    this.inFlight?.snapshot.abandon()
    this.inFlight = undefined
  }

  complete(): void {
    if (this.inFlight === undefined) return
    const { id, snapshot, truth } = this.inFlight
    this.inFlight = undefined
    while (!snapshot.encodeSlice());
    const finished = snapshot.finish()
    const { bytes } = finished
    let blob: BlobReference | null = null
    if (bytes !== null) {
      blob = {
        key: `blob-${id}`,
        sizeBytes: bytes.byteLength,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      }
      this.blobs.set(blob.key, bytes)
    }
    this.completed = { id, handle: JSON.parse(JSON.stringify(finished.handle(blob))) as KeyedStateHandle, truth }
    this.base = id
    this.backend.completed(id)
    const named = new Set(this.completed.handle.blobs.map((one) => one.key))
    for (const name of this.blobs.keys()) if (!named.has(name)) this.blobs.delete(name)
  }

  async restore(): Promise<void> {
    this.abandon()
    this.restores += 1
    this.backend = createKeyedStateBackend({ descriptors: DESCRIPTORS, maxParallelism: MAX_PARALLELISM })
    this.truth = structuredClone(this.completed?.truth ?? new Map<number, Truth>())
    if (this.completed !== undefined) {
      const { id, handle } = this.completed
      await restoreKeyedState(this.backend, {
        checkpoint: id,
        handles: [handle],
        getBlob: (blob) => Promise.resolve(this.blobs.get(blob.key) ?? new Uint8Array()),
      })
    }
    // Half of the restores stay lazy, so that chains of undecoded groups are kept too.
    if (this.restores % 2 === 0 || this.completed === undefined) this.compare()
    else this.compareWithCopy()
  }

  compare(): void {
    for (const [index, name] of KEYS.entries()) {
      this.backend.setCurrentKey(name)
      const { count, box, items, elements } = this.handles()
      const truth = this.truth.get(index)
      const got = JSON.stringify([count.get(), box.get(), items.get(), [...elements.entries()]])
      const expected = JSON.stringify([
        truth?.count ?? -1,
        truth?.box ?? null,
        truth?.items ?? [],
        [...(truth?.elements ?? [])],
      ])
      if (got !== expected) throw new Error(`key ${String(name)} is ${got}, expected ${expected}`)
      this.compared += 1
    }
  }

  compareWithCopy(): void {
    const lazy = this.backend
    this.backend = createKeyedStateBackend({ descriptors: DESCRIPTORS, maxParallelism: MAX_PARALLELISM })
    const { id = 0, handle } = this.completed ?? {}
    if (handle !== undefined) this.backend.restore(id, [handle], this.blobs)
    this.compare()
    this.backend = lazy
  }

  handles(): {
    count: ValueState<number>
    box: ValueState<Box | null>
    items: ListState<Box>
    elements: MapState<string | number, Box | number>
  } {
    return this.backend.handles as unknown as ReturnType<World['handles']>
  }
}

/** A user who changes what state handed out, against its type. */
function mutable(box: Readonly<Box>): Box {
  return box
}
