/** The reader, in a process of its own: one that is busy elsewhere would look less often. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ReaderLine, ReaderReport } from './reader-line.ts'

const READER = fileURLToPath(new URL('./reader.main.ts', import.meta.url))

export class ReaderProcess implements Disposable {
  readonly #child: ChildProcess
  /** Those that wait for an answer, oldest first. */
  readonly #waiting: ((report: ReaderReport) => void)[] = []
  readonly #closed: Promise<never>

  constructor(directory: string, onLine: (line: ReaderLine) => void) {
    const child = spawn(process.execPath, [READER, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as ReaderLine
      onLine(line)
      if (line.kind === 'looked' || line.kind === 'report') this.#waiting.shift()?.(line)
    })
    child.stdin.on('error', () => undefined)
    this.#closed = once(child, 'close').then(([code, signal]) => {
      throw new Error(`the reader ended by itself, with ${code ?? signal}`)
    })
    this.#closed.catch(() => undefined)
  }

  /** Resolves when it has looked at all that was there when this was called, and told it. */
  look(): Promise<ReaderReport> {
    return this.#ask('look')
  }

  /** Its last look. */
  finish(): Promise<ReaderReport> {
    return this.#ask('finish')
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }

  #ask(command: 'look' | 'finish'): Promise<ReaderReport> {
    const answer = new Promise<ReaderReport>((resolve) => {
      this.#waiting.push(resolve)
    })
    this.#child.stdin?.write(`${command}\n`)
    return Promise.race([answer, this.#closed])
  }
}
