/**
 * A job in a process of its own, run as a user runs it: `sluice run … --json`, with what it says as events.
 *
 * It does not outlive this process, however that ends: the pipe that SLUICE_STARTER_FD names closes with it.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface JobStart {
  /** Its file. */
  readonly job: URL
  /** Where it runs; its store lies there. */
  readonly directory: string
  /** Beside what this process has. */
  readonly env?: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, string>>
}

/** A line of `sluice run --json`. */
export interface JobEvent {
  readonly event: string
  readonly generation?: number
  readonly restored?: number | null
  readonly checkpoint?: number
  readonly state?: string
  readonly sourcePositions?: readonly { readonly split: string; readonly position: Position }[]
}

/** Of a file, and of a partition of Kafka. */
interface Position {
  readonly byte?: number
  readonly offset?: number
}

export interface JobEnd {
  /** Null: ended by `signal`. */
  readonly code: number | null
  readonly signal: string | null
  /** What it said about it. */
  readonly errors: string
}

const COMMAND = fileURLToPath(new URL('../bin/sluice.mjs', import.meta.url))
const STARTER_FD = 3
const TOLD_AS_ERRORS = ['refused', 'fenced', 'broken-off', 'ended']

/** Something did not do what it was expected to do: the example cannot go on. */
export class JobProblem extends Error {
  override readonly name = 'JobProblem'
}

export class RunningJob {
  readonly ended: Promise<JobEnd>
  readonly #child: ChildProcess

  constructor({ job, directory, env, settings }: JobStart, onEvent: (event: JobEvent) => void) {
    const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
    const child = spawn(process.execPath, [COMMAND, 'run', fileURLToPath(job), '--json', ...set], {
      cwd: directory,
      env: { ...process.env, ...env, SLUICE_STARTER_FD: String(STARTER_FD) },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    this.#child = child
    const { stdout, stderr } = child
    if (stdout === null || stderr === null) throw new Error('the job was started without its streams')
    let errors = ''
    stderr.on('data', (text: Buffer) => {
      errors += text.toString()
    })
    createInterface({ input: stdout }).on('line', (line) => {
      const event = JSON.parse(line) as JobEvent
      if (TOLD_AS_ERRORS.includes(event.event)) errors += `${line}\n`
      onEvent(event)
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => resolve({ code, signal, errors }))
    })
  }

  signal(name: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
  }
}

export function problemOf({ code, signal, errors }: JobEnd, wanted: string): string {
  return `the job ended with ${code ?? signal} when it was to be ${wanted}\n${errors.trimEnd()}`
}
