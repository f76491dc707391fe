/**
 * One run of the orders job in a process of its own, which dies by SIGKILL once it has read a given share of its input.
 */
import { RunningJob, type JobEvent } from '../running-job.ts'

const JOB = new URL('job.ts', import.meta.url)

export interface RunPlan {
  readonly directory: string
  readonly intervalMs: number
  /** Bytes of each input file, by name. */
  readonly inputBytes: ReadonlyMap<string, number>
  /** Undefined: it may live. */
  readonly kill?: { readonly atShare: number; readonly delayMs: number }
}

export interface RunResult {
  readonly code: number | null
  readonly wasKilled: boolean
  /** Share of the input that the last completed checkpoint covers, 0 to 1. */
  readonly share: number
  readonly errors: string
}

export async function runJob({ directory, intervalMs, inputBytes, kill }: RunPlan): Promise<RunResult> {
  let share = 0
  let timer: NodeJS.Timeout | undefined
  const env = { ORDERS_INTERVAL_MS: String(intervalMs) }
  const start = { job: JOB, directory, env, settings: { input: 'data', output: 'out' } }
  const job = new RunningJob(start, (event) => {
    if (event.event === 'completed') share = shareOf(event, inputBytes)
    const isDue = event.event === 'running' || event.event === 'completed'
    if (kill === undefined || timer !== undefined || !isDue || share < kill.atShare) return
    timer = setTimeout(() => job.signal('SIGKILL'), kill.delayMs)
  })
  const { code, signal, errors } = await job.ended
  clearTimeout(timer)
  return { code, wasKilled: signal === 'SIGKILL', share, errors }
}

function shareOf({ sourcePositions = [] }: JobEvent, inputBytes: ReadonlyMap<string, number>): number {
  const total = [...inputBytes.values()].reduce((sum, bytes) => sum + bytes, 0)
  return sourcePositions.reduce((sum, one) => sum + (one.position.byte ?? 0), 0) / total
}
