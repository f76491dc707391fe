/**
 * The sha256 that a blob is stored with, computed beside records.
 *
 * - T3: in slices of about 1 ms; the event loop turns in between.
 */
import { createHash } from 'node:crypto'
import type { Timers } from '../api/index.ts'

const SLICE_BYTES = 1024 * 1024

/** 64 hex digits. */
export async function sha256InSlices(bytes: Uint8Array, timers: Timers): Promise<string> {
  const hash = createHash('sha256')
  for (let from = 0; from < bytes.byteLength; from += SLICE_BYTES) {
    if (from > 0) await timers.yieldToEventLoop()
    hash.update(bytes.subarray(from, from + SLICE_BYTES))
  }
  return hash.digest('hex')
}
