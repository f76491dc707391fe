/** One child process of a kill test, and the workers that it started: what it said, what they did, what struck them, how it ended. */
import { deepEqual, ok } from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

export class Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** The command itself is no more; a stopped worker of it may still hold its streams. */
  readonly exited: Promise<void>
  readonly #files: { readonly trace: string; readonly woken: string }
  #output = ''
  #errors = ''

  constructor(child: ChildProcess, files: { readonly trace: string; readonly woken: string }) {
    this.child = child
    this.#files = files
    child.stdout?.on('data', (data: Buffer) => {
      this.#output += data.toString()
    })
    child.stderr?.on('data', (data: Buffer) => {
      this.#errors += data.toString()
    })
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve())
    })
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
  }

  /** Both streams. */
  get said(): string {
    return this.#output + this.#errors
  }

  events(kind: string): readonly Readonly<Record<string, unknown>>[] {
    const whole = this.#output.slice(0, this.#output.lastIndexOf('\n') + 1)
    const lines = whole.split('\n').filter((line) => line !== '')
    return lines
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter(({ event }) => event === kind)
  }

  /** Of the command itself. */
  get #command(): Traced {
    return new Traced(
      this.#lines().filter((line) => !/^\d+> /.test(line)),
      this.child.pid,
    )
  }

  /** The process of that number: those of the beginning are in order, each that takes the place of a dead one has the next number. */
  worker(number: number): Traced {
    const prefix = `${number}> `
    const mine = this.#lines().flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []))
    const pid = mine.find((line) => line.startsWith('# '))?.slice(2)
    return new Traced(mine, pid === undefined ? undefined : Number(pid))
  }

  /** All that were started so far. */
  get workers(): readonly Traced[] {
    const count = this.#lines().filter((line) => /^\d+> # /.test(line)).length
    return Array.from({ length: count }, (_, number) => this.worker(number))
  }

  /** Effects of all processes in the order in which they happened; those of a worker begin with its number, like `0> `. */
  get together(): readonly string[] {
    return this.#lines().filter((line) => !/^(\d+> )?[!#] /.test(line))
  }

  /** Its effects so far, in order. */
  get effects(): readonly string[] {
    return this.#command.effects
  }

  /** What struck it so far. */
  get struck(): readonly string[] {
    return this.#command.struck
  }

  get isStopped(): boolean {
    return this.#command.isStopped
  }

  /** True: stopped at its effect. False: it ended without meeting it. */
  async untilStopped(): Promise<boolean> {
    let isOver = false
    void this.ended.then(() => {
      isOver = true
    })
    await until(() => isOver || this.isStopped, 'the process to stop')
    return !isOver
  }

  /** True: that worker is stopped at its effect. False: the command ended without it. */
  async untilWorkerStopped(number: number): Promise<boolean> {
    let isOver = false
    void this.ended.then(() => {
      isOver = true
    })
    await until(() => isOver || this.worker(number).isStopped, 'a worker to stop')
    return this.worker(number).isStopped
  }

  wake(): void {
    writeFileSync(this.#files.woken, '')
    this.child.kill('SIGCONT')
  }

  wakeWorker(number: number): void {
    const { pid } = this.worker(number)
    ok(pid !== undefined, `worker ${number} has not begun`)
    writeFileSync(this.#files.woken, '')
    process.kill(pid, 'SIGCONT')
  }

  /** Whatever is left of it; a worker that is stopped would stay for ever without its command. */
  kill(): void {
    this.child.kill('SIGKILL')
    for (const { pid, isStopped } of this.workers) if (isStopped && pid !== undefined) process.kill(pid, 'SIGKILL')
  }

  /** Null: killed. */
  async expectCode(code: number | null): Promise<void> {
    const ended = await this.ended
    const why = ended.code === code ? {} : { said: this.said.slice(-4_000) }
    deepEqual({ ...ended, ...why }, { code, signal: code === null ? 'SIGKILL' : null })
  }

  #lines(): readonly string[] {
    return readOrEmpty(this.#files.trace)
      .split('\n')
      .filter((line) => line !== '')
  }
}

/** One process, as its lines of the trace tell. */
export class Traced {
  /** Undefined: it has not begun. */
  readonly pid: number | undefined
  /** In order. */
  readonly effects: readonly string[]
  readonly struck: readonly string[]

  constructor(lines: readonly string[], pid: number | undefined) {
    this.pid = pid
    this.effects = lines.filter((line) => !/^[!#] /.test(line))
    this.struck = lines.filter((line) => line.startsWith('! '))
  }

  get isStopped(): boolean {
    return this.struck.some((line) => line.startsWith('! STOP')) && this.state === 'T'
  }

  get isThere(): boolean {
    return !['', 'Z', 'X'].includes(this.state)
  }

  /** A letter of /proc; empty: it is no more. */
  get state(): string {
    return /\) (\w) /.exec(readOrEmpty(`/proc/${this.pid}/stat`))?.[1] ?? ''
  }
}

export async function until(fact: () => boolean, what: string, deadlineMs = 30_000): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs
  while (!fact()) {
    if (performance.now() > giveUpAt) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Effects since its last entry in the log, but for what it was killed at. */
export function sinceEntry({ effects }: Run, pattern: RegExp): readonly string[] {
  const last = effects.slice(0, -1).findLastIndex((effect) => /^link .*\/log\//.test(effect))
  return effects.slice(last + 1).filter((effect) => pattern.test(effect))
}
