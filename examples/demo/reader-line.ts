/** What the reader's process says, a JSON line each. */
import type { Seen } from './reader.ts'

export type ReaderLine =
  | ({ readonly kind: 'seen'; readonly atMs: number } & Seen)
  | { readonly kind: 'wrong'; readonly atMs: number; readonly text: string }
  | ({ readonly kind: 'looked' | 'report'; readonly atMs: number } & ReaderReport)

export interface ReaderReport {
  readonly looks: number
  /** Between the beginnings of two looks. */
  readonly longestPauseMs: number
}
