/**
 * What a run begins from, and how the log remembers it until it is carried out.
 *
 * The entry that carries it out (`committed`, retaining only what was chosen) comes some effects after `started`. A crash between the two
 * must not look like an ordinary start of the newest checkpoint, or of nothing (a fork into an empty log): so `started` names what was
 * chosen, and no run goes on from there without a word.
 */
import { unreachable } from '../api/index.ts'

/** The newest checkpoint, that of a number, what a savepoint holds, or nothing: the job begins anew. */
export type RestoreChoice = 'latest' | 'none' | number | 'savepoint'

/** In the log until it is carried out. */
export type Restoring =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'checkpoint'; readonly checkpoint: number }
  /** Which one: of its description. */
  | { readonly kind: 'savepoint'; readonly uri: string; readonly sha256: string }

/** As it is said with `--restore`. */
export function restoreText(restoring: Restoring): string {
  switch (restoring.kind) {
    case 'nothing':
      return 'none'
    case 'checkpoint':
      return String(restoring.checkpoint)
    case 'savepoint':
      return restoring.uri
    default:
      return unreachable(restoring)
  }
}

export function choiceOf(restoring: Restoring): Exclude<RestoreChoice, 'latest'> {
  switch (restoring.kind) {
    case 'nothing':
      return 'none'
    case 'checkpoint':
      return restoring.checkpoint
    case 'savepoint':
      return 'savepoint'
    default:
      return unreachable(restoring)
  }
}
