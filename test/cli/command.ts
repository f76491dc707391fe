/** Runs the command in a child process, in a directory of its own that goes when the test ends. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const COMMAND = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
export const QUICKSTART = fileURLToPath(new URL('../../examples/quickstart/job.ts', import.meta.url))
export const ENDLESS = fileURLToPath(new URL('endless.job.ts', import.meta.url))
export const ROUTES = fileURLToPath(new URL('routes.job.ts', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export class Workplace implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
  readonly #children: ChildProcess[] = []

  start(...argv: readonly string[]): Running {
    return this.startAs({}, ...argv)
  }

  startAs(as: { readonly uid?: number; readonly env?: NodeJS.ProcessEnv }, ...argv: readonly string[]): Running {
    const child = spawn(process.execPath, [COMMAND, ...argv], {
      ...as,
      cwd: this.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.push(child)
    return new Running(child)
  }

  async sluice(...argv: readonly string[]): Promise<Ended> {
    return await this.start(...argv).ended
  }

  write(file: string, text: string): void {
    mkdirSync(join(this.directory, dirname(file)), { recursive: true })
    writeFileSync(join(this.directory, file), text)
  }

  /** Lines of all visible files of a directory, in order of their names. */
  visible(directory: string): readonly string[] {
    const names = readdirSync(join(this.directory, directory)).filter((name) => !name.startsWith('.'))
    return names.toSorted().flatMap((name) =>
      readFileSync(join(this.directory, directory, name), 'utf8')
        .replace(/\n$/, '')
        .split('\n'),
    )
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  #out = ''
  #err = ''
  readonly #readers = new Set<() => void>()

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout?.on('data', (data: Buffer) => this.#hear(() => (this.#out += data.toString())))
    child.stderr?.on('data', (data: Buffer) => this.#hear(() => (this.#err += data.toString())))
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        resolve({ code, out: this.#out, err: this.#err })
        this.#hear(() => undefined)
      })
    })
  }

  /** Resolves once the child has said `text`; rejects when it ends without. */
  async says(text: string | RegExp): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const said = `${this.#out}${this.#err}`
        if (typeof text === 'string' ? said.includes(text) : text.test(said)) resolve()
        else if (this.child.exitCode !== null)
          reject(new Error(`it ended without "${String(text)}":\n${this.#out}${this.#err}`))
      }
      this.#readers.add(look)
      look()
    })
  }

  #hear(take: () => unknown): void {
    take()
    for (const look of this.#readers) look()
  }
}
