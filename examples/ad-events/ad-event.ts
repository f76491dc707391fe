/** What phones say about ads: one was shown, one was clicked. */
import { z } from 'zod'

const Impression = z.object({
  kind: z.literal('impression'),
  id: z.string(),
  ad: z.string(),
  /** Milliseconds since 1970. */
  at: z.int(),
  costMicros: z.int(),
})

const Click = z.object({
  kind: z.literal('click'),
  id: z.string(),
  ad: z.string(),
  at: z.int(),
  /** The id of what was clicked on. */
  impression: z.string(),
})

export const AdEvent = z.discriminatedUnion('kind', [Impression, Click])

export type AdEvent = z.infer<typeof AdEvent>
export type Impression = z.infer<typeof Impression>
export type Click = z.infer<typeof Click>
