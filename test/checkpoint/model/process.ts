/** One process of the protocol's model, as data: what it knows, and a queue of operations, each with at most one effect outside. */
import type { Checkpoint, Entry } from './world.ts'

export const MUTANTS = [
  'skip the mark look after start',
  'clean started entries',
  'abort before fence',
  'abort before commit',
  'abort without asking for generations',
  'commit before completion',
  'sweep by list without generation',
  'fall back to older',
  'an abandoned epoch is not carried',
  'take a lost reply for a failure',
  'retain without looking at commits',
] as const
export type Mutant = (typeof MUTANTS)[number]

export interface Rules {
  readonly distance: number
  readonly epochs: number
  readonly sinks: number
  readonly keep: number
  /** Commits wait until the last epoch is completed. */
  readonly overlap: boolean
  readonly mutant: Mutant | undefined
}

export type Operation =
  | { readonly kind: 'probe' | 'read' | 'look' | 'abort' | 'sweep' | 'prepare' | 'upload' | 'complete' }
  | { readonly kind: 'clean' | 'retire' | 'note' | 'end' }
  | { readonly kind: 'begin'; readonly onTopOf: Entry | null }
  | { readonly kind: 'mark'; readonly number: number }
  | { readonly kind: 'create'; readonly entry: Entry }
  | { readonly kind: 'commit'; readonly checkpoint: Checkpoint; readonly sink: number; readonly recovered: boolean }
  | { readonly kind: 'append-committed'; readonly through: number }
  | { readonly kind: 'restore'; readonly checkpoint: number | null }

export interface Process {
  readonly id: number
  todo: Operation[]
  /** Answers of the search so far. */
  answers: boolean[]
  /** Length of the history when the search began. */
  searchedAt: number
  /** The newest entry as it knows it; its own, once it has started. */
  view: Entry | null
  position: number
  counter: number
  /** Prepared, and held by no completed checkpoint yet. */
  carried: string[]
  committedThrough: number
  next: number
  retired: Checkpoint[]
  /** Known to the model only: its start took a number that had been cleaned away. */
  isStale: boolean
}

export function newProcess(id: number): Process {
  const start = {
    answers: [],
    searchedAt: 0,
    view: null,
    position: 0,
    counter: 0,
    carried: [],
    committedThrough: 0,
    next: 1,
    retired: [],
  }
  return { id, todo: [{ kind: 'probe' }], ...start, isStale: false }
}

/** How the world may answer, apart from the plain way. */
export type Twist = 'plain' | 'lost-reply' | 'decline'
