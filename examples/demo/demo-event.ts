/** What happens in a demo, for whoever shows it. Times are milliseconds since 1970, of one clock. */
import type { SinkName } from './reader.ts'

export type DemoEvent = { readonly atMs: number } & (
  | { readonly kind: 'spawned' }
  | { readonly kind: 'running'; readonly restored: number | null }
  | { readonly kind: 'completed'; readonly checkpoint: number }
  /** The reader saw a new file. */
  | { readonly kind: 'seen'; readonly sink: SinkName; readonly records: number }
  /** A life is over. */
  | { readonly kind: 'over'; readonly how: LifeEnd }
  | { readonly kind: 'sabotaged'; readonly text: string }
  | { readonly kind: 'wrong'; readonly text: string }
)

export type LifeEnd = 'killed' | 'stopped' | 'finished'
