/**
 * What a completed checkpoint holds, looked at when it completes: its parts must be one consistent cut (C4), on which no record is on the
 * wrong side of the barrier (T2).
 */
import type { Manifest, OperatorSnapshot } from '../../engine/checkpoint/manifest.ts'
import { decodeOperatorState } from '../../engine/state/operator-state-codec.ts'
import type { Service } from './service.ts'
import type { Prepared, Written } from './simulated-sink.ts'
import type { Truth } from './truth.ts'

/** Names of the transactions that it holds, by sink. */
export function preparedIn({ operators }: Manifest): readonly { readonly sink: string; readonly name: string }[] {
  return operators.flatMap(({ operator, committables }) =>
    (committables ?? []).map(({ bytes }) => ({ sink: operator, name: (parsed(bytes) as Prepared).name })),
  )
}

/** Positions of all splits of a source. */
export function positionsIn({ operators }: Manifest, source: string): ReadonlyMap<string, number> {
  const splits = operators.flatMap((one) => (one.operator === source ? (one.splits ?? []) : []))
  return new Map(splits.map(({ split, position }) => [split.id, Number(position)]))
}

/** Entries of an operator's state in all of its subtasks. */
export function entriesIn(manifest: Manifest, truth: Truth, of: { operator: string; state: string }): unknown[] {
  return manifest.operators.flatMap(({ operator, operatorState }) => {
    if (operator !== of.operator || operatorState === undefined) return []
    const bytes =
      'inline' in operatorState
        ? Buffer.from(operatorState.inline, 'base64')
        : (truth.files.get(operatorState.blob.key) ?? new Uint8Array())
    return decodeOperatorState(bytes).get(of.state)?.entries ?? []
  })
}

/** Everything a sink has been given in checkpoints that have completed, visible or not. */
export function heldBy(service: Service, truth: Truth): readonly unknown[] {
  return [...service.prepared].flatMap(([name, values]) => (truth.held.has(name) ? values : []))
}

/** Subtasks, splits and committables are each there once, and writers have counted what they have written. */
export function checkCut(manifest: Manifest, truth: Truth, services: Iterable<Service>): void {
  const { checkpoint, operators } = manifest
  const subtasks = new Map<string, OperatorSnapshot[]>()
  for (const one of operators) subtasks.set(one.operator, [...(subtasks.get(one.operator) ?? []), one])
  for (const [operator, parts] of subtasks) {
    const isWhole = parts.every(({ subtask, parallelism }, index) => subtask === index && parallelism === parts.length)
    truth.expect(isWhole, () => `checkpoint ${checkpoint} does not hold each subtask of ${operator} once (C4)`)
    const ends = new Set(parts.map(({ ended }) => ended))
    truth.expect(ends.size === 1, () => `checkpoint ${checkpoint} holds the end of some subtasks of ${operator} (F24)`)
    const ids = parts.flatMap(({ splits }) => (splits ?? []).map(({ split }) => split.id))
    truth.expect(new Set(ids).size === ids.length, () => `checkpoint ${checkpoint} holds a split of ${operator} twice`)
    if (parts.every(({ splits }) => splits === undefined)) continue
    const [read, positions] = [recordsIn(parts), [...positionsIn(manifest, operator).values()]]
    const passed = positions.reduce((sum, position) => sum + position, 0)
    truth.expect(read === passed, () => `${operator} has read ${read}, ${checkpoint} is behind ${passed} (C4)`)
  }
  for (const service of services) {
    const parts = subtasks.get(service.sink) ?? []
    const entries = parts.flatMap(({ writerState }) =>
      (writerState?.entries ?? []).map((one) => parsed(one) as Written),
    )
    const names = new Set(entries.map(({ by }) => by))
    truth.expect(
      names.size === entries.length,
      () => `writer state of ${service.sink} is doubled in ${checkpoint} (C4)`,
    )
    const written = entries.reduce((sum, { records }) => sum + records, 0)
    const held = heldBy(service, truth).length
    truth.expect(written === held, () => `${service.sink} has written ${written}, ${checkpoint} holds ${held} (C4)`)
    const counted = recordsIn(parts)
    truth.expect(counted === held, () => `${service.sink} was given ${counted}, ${checkpoint} holds ${held} (C4)`)
  }
}

function recordsIn(parts: readonly OperatorSnapshot[]): number {
  return parts.reduce((sum, { records = 0 }) => sum + records, 0)
}

function parsed(base64: string): unknown {
  return JSON.parse(Buffer.from(base64, 'base64').toString())
}
