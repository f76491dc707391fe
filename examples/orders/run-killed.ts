/**
 * One run of the orders job in a process of its own, which dies by SIGKILL once it has read a given share of its input.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

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

const COMMAND = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
const JOB = fileURLToPath(new URL('job.ts', import.meta.url))

export async function runJob(plan: RunPlan): Promise<RunResult> {
  const settings = ['--set', 'input=data', '--set', 'output=out']
  const child = spawn(process.execPath, [COMMAND, 'run', JOB, '--json', ...settings], {
    cwd: plan.directory,
    env: { ...process.env, ORDERS_INTERVAL_MS: String(plan.intervalMs) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  let share = 0
  let timer: NodeJS.Timeout | undefined
  const { kill } = plan
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString()
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as Event
    if (event.event === 'refused' || event.event === 'broken-off' || event.event === 'ended') errors += `${line}\n`
    if (event.event === 'completed') share = shareOf(event.sourcePositions ?? [], plan.inputBytes)
    const isDue = event.event === 'running' || event.event === 'completed'
    if (kill === undefined || timer !== undefined || !isDue || share < kill.atShare) return
    timer = setTimeout(() => child.kill('SIGKILL'), kill.delayMs)
  })
  const [code, signal] = await new Promise<readonly [number | null, string | null]>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode, by) => resolve([exitCode, by]))
  })
  clearTimeout(timer)
  return { code, wasKilled: signal === 'SIGKILL', share, errors }
}

/** A line of `sluice run --json`. */
interface Event {
  readonly event: string
  readonly sourcePositions?: readonly Position[]
}

interface Position {
  readonly split: string
  readonly position: { readonly byte: number }
}

function shareOf(positions: readonly Position[], inputBytes: ReadonlyMap<string, number>): number {
  const total = [...inputBytes.values()].reduce((sum, bytes) => sum + bytes, 0)
  return positions.reduce((sum, one) => sum + one.position.byte, 0) / total
}
