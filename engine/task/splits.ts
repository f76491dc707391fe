/**
 * Which splits a source reads, and from where: what was restored, met with what is there now.
 *
 * - Known splits continue at their position; ended ones that are still there stay ended, those that are gone are forgotten.
 * - A known split that has not ended but is gone stays: its reader says what is missing (F20).
 * - New splits begin where `discover` says, but not before a checkpoint that holds that has completed (F32). Those that appear while
 *   the job runs begin at their beginning, at once: see engine/coordinator/discovery.ts.
 */
import { TerminalError, type DiscoveredSplit, type SplitLike } from '../api/index.ts'
import type { OperatorSnapshot } from '../checkpoint/manifest.ts'
import type { SplitState } from './source-port.ts'

/** In the order of discovery; those that are gone come last. @throws TerminalError for an id that is there twice */
export function resolveSplits(
  source: string,
  known: NonNullable<OperatorSnapshot['splits']>,
  discovered: readonly DiscoveredSplit<SplitLike, unknown>[],
): ReadonlyMap<string, SplitState> {
  const restored = new Map(known.map((one) => [one.split.id, one]))
  const splits = new Map<string, SplitState>()
  for (const { split, start } of discovered) {
    if (splits.has(split.id))
      throw new TerminalError(`source "${source}" discovered split "${split.id}" twice`, {
        code: 'SLUICE_SOURCE_CONTRADICTS',
      })
    const old = restored.get(split.id)
    // A position of our own: the source may go on changing its object.
    splits.set(split.id, old === undefined ? { split, position: structuredClone(start), ended: false } : { ...old })
  }
  for (const old of known) if (!old.ended && !splits.has(old.split.id)) splits.set(old.split.id, { ...old })
  return splits
}

/** Those that are new, as they begin. @throws TerminalError for an id that is there twice */
export function newSplits(
  source: string,
  known: ReadonlyMap<string, unknown>,
  discovered: readonly DiscoveredSplit<SplitLike, unknown>[],
): readonly SplitState[] {
  return [...resolveSplits(source, [], discovered).values()].filter(({ split }) => !known.has(split.id))
}
