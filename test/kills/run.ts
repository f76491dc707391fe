/** One child process of a kill test: what it said, what it did, what struck it, how it ended. */
import { deepEqual } from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

export class Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
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

  /** Its effects so far, in order. */
  get effects(): readonly string[] {
    return this.#trace().filter((line) => !line.startsWith('! '))
  }

  /** What struck it so far. */
  get struck(): readonly string[] {
    return this.#trace().filter((line) => line.startsWith('! '))
  }

  get isStopped(): boolean {
    const stat = `/proc/${this.child.pid}/stat`
    return this.struck.some((line) => line.startsWith('! STOP')) && /\) T /.test(readOrEmpty(stat))
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

  wake(): void {
    writeFileSync(this.#files.woken, '')
    this.child.kill('SIGCONT')
  }

  /** Null: killed. */
  async expectCode(code: number | null): Promise<void> {
    const ended = await this.ended
    const why = ended.code === code ? {} : { said: this.said.slice(-4_000) }
    deepEqual({ ...ended, ...why }, { code, signal: code === null ? 'SIGKILL' : null })
  }

  #trace(): readonly string[] {
    return readOrEmpty(this.#files.trace)
      .split('\n')
      .filter((line) => line !== '')
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
