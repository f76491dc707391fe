/** Jobs of the kill tests, and commands that ask something of them, with sockets in a directory of this test file alone. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Arena, type StartOptions } from '../../kills/harness.ts'
import { type Run, until } from '../../kills/run.ts'

const BIN = fileURLToPath(new URL('../../../bin/sluice.mjs', import.meta.url))

export const WAYS = ['socket', 'store'] as const
export type Way = (typeof WAYS)[number]

/** Slow enough to be asked something on the way, on a busy machine too: a checkpoint every 200 ms, sixty of them. */
export const STEADY = { BATCH: 2, PACE_MS: 20, INTERVAL_MS: 200 }

/** Where sockets of the processes of this test file are. Paths of sockets are short. */
export class SocketPlace implements Disposable {
  readonly #before = process.env['TMPDIR']
  readonly #root = mkdtempSync(join(tmpdir(), 's-'))
  readonly directory = join(this.#root, `sluice-${process.getuid?.()}`)

  constructor() {
    delete process.env['XDG_RUNTIME_DIR']
    process.env['TMPDIR'] = this.#root
  }

  get sockets(): readonly string[] {
    return readdirSync(this.directory).filter((name) => name.endsWith('.sock'))
  }

  [Symbol.dispose](): void {
    if (this.#before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = this.#before
    rmSync(this.#root, { recursive: true, force: true })
  }
}

export interface Answered {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Said {
  readonly outcome?: string
  readonly state?: string
  readonly checkpoint?: number
  readonly committedThrough?: number
  readonly durationMs?: number
  readonly code?: string
  readonly via?: string | null
  readonly error?: string
  readonly reason?: string
  readonly exitCode: number
}

export class AskedArena extends Arena {
  readonly #askers = new Set<ChildProcess>()

  /** A command about this job, in the directory of its store. */
  ask(way: Way, ...argv: readonly string[]): Promise<Answered> {
    const child = spawn(process.execPath, [BIN, ...argv], {
      cwd: this.directory,
      env: { ...process.env, SLUICE_CONTROL: way },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#askers.add(child)
    let [out, err] = ['', '']
    child.stdout.on('data', (data: Buffer) => (out += data.toString()))
    child.stderr.on('data', (data: Buffer) => (err += data.toString()))
    return new Promise((resolve) => {
      child.once('close', (code) => {
        this.#askers.delete(child)
        resolve({ code, out, err })
      })
    })
  }

  /** What it says with `--json`. */
  async hear(way: Way, ...argv: readonly string[]): Promise<Said> {
    const { code, out, err } = await this.ask(way, ...argv, '--json')
    if (out === '') throw new Error(`it said nothing, ended with ${code}: ${err}`)
    const said = JSON.parse(out) as Said
    if (said.exitCode !== code) throw new Error(`it ended with ${code} and said ${out}`)
    return said
  }

  /** A process that has completed so many checkpoints. */
  async running(options: StartOptions = {}, checkpoints = 3): Promise<Run> {
    const run = this.start({ isTraced: false, ...options, settings: { ...STEADY, ...options.settings } })
    await completed(run, checkpoints)
    return run
  }

  override [Symbol.dispose](): void {
    for (const child of this.#askers) child.kill('SIGKILL')
    super[Symbol.dispose]()
  }
}

export async function completed(run: Run, checkpoints: number): Promise<void> {
  await until(() => run.events('completed').length >= checkpoints || run.child.exitCode !== null, 'checkpoints')
  if (run.events('completed').length < checkpoints) throw new Error(`it ended too soon: ${run.said.slice(-2_000)}`)
}

export const STOP = ['stop', 'kills'] as const

/** Where the process that runs the job listens, as its log has it. */
export function socketOf(arena: AskedArena): string {
  const { holder } = arena.newest() as unknown as { readonly holder: { readonly control: { readonly socket: string } } }
  return holder.control.socket
}

/** The process has heard so many askers. */
export async function asked(run: Run, times = 1): Promise<void> {
  await until(() => run.events('asked').length >= times, 'the process to be asked')
}
