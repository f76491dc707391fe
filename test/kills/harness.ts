/**
 * Runs the kill job in child processes and checks what became visible, independently of the engine.
 */
import { deepEqual } from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const BIN = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
export const COUNT = 600
const KEYS = 7

export class Arena {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-kills-'))
  readonly #children = new Set<ChildProcess>()

  /** Starts a run; `kill` is `<number>:<before|after>:<KILL|STOP>`. */
  start(
    options: {
      readonly kill?: string
      readonly env?: Readonly<Record<string, string>>
      readonly flags?: readonly string[]
    } = {},
  ): Run {
    const child = spawn(
      process.execPath,
      [
        '--import',
        join(HERE, 'effects-preload.mjs'),
        BIN,
        'run',
        join(HERE, 'kills.job.ts'),
        '--json',
        ...(options.flags ?? []),
      ],
      {
        cwd: this.directory,
        env: {
          ...process.env,
          SLUICE_EFFECTS: join(this.directory, 'effects'),
          ...(options.kill === undefined ? {} : { SLUICE_KILL: options.kill }),
          ...options.env,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.#children.add(child)
    return new Run(child)
  }

  effects(): number {
    return Number(readFileSync(join(this.directory, 'effects'), 'utf8').trim().split('\n').at(-1))
  }

  visible(sink: 'counts' | 'evens'): readonly string[] {
    const directory = join(this.directory, sink)
    if (!existsSync(directory)) return []
    const parts = readdirSync(directory).filter((name) => !name.startsWith('.'))
    return parts.toSorted().flatMap((name) =>
      readFileSync(join(directory, name), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    )
  }

  /** Nothing twice, nothing out of order, at any moment. */
  expectPrefix(): number {
    const counts = expectedCounts()
    const evens = expectedEvens()
    deepEqual(this.visible('counts'), counts.slice(0, this.visible('counts').length))
    deepEqual(this.visible('evens'), evens.slice(0, this.visible('evens').length))
    return this.visible('counts').length + this.visible('evens').length
  }

  /** Everything once, in order, and nothing hidden left. Returns the number of facts compared. */
  expectComplete(): number {
    deepEqual(this.visible('counts'), expectedCounts())
    deepEqual(this.visible('evens'), expectedEvens())
    for (const sink of ['counts', 'evens']) {
      deepEqual(
        readdirSync(join(this.directory, sink)).filter((name) => name.startsWith('.')),
        [],
      )
    }
    return expectedCounts().length + expectedEvens().length
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export class Run {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
  #output = ''
  #errors = ''

  constructor(child: ChildProcess) {
    this.child = child
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

  get output(): string {
    return this.#output
  }

  get errors(): string {
    return this.#errors
  }

  async expectCode(code: number): Promise<void> {
    const ended = await this.ended
    deepEqual(
      { ...ended, ...(ended.code === code ? {} : { output: this.#output, errors: this.#errors }) },
      { code, signal: null },
    )
  }
}

function expectedCounts(): readonly string[] {
  const lines = Array.from({ length: COUNT }, (_, index) =>
    JSON.stringify({ index, key: `key-${index % KEYS}`, count: Math.floor(index / KEYS) + 1 }),
  )
  return [...lines, JSON.stringify({ index: -1, key: 'end', count: 1 })]
}

function expectedEvens(): readonly string[] {
  return Array.from({ length: COUNT / 2 }, (_, index) => String(index * 2))
}
