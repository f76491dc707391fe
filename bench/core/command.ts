/** `sluice run` in a child process, as anybody starts it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const CHECKOUT_COMMAND = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))

export interface RunningCommand {
  readonly child: ChildProcess
  readonly ended: Promise<void>
}

export function startRun(
  command: string,
  job: string,
  options: { readonly store: string; readonly settings: Readonly<Record<string, string | number>> },
): RunningCommand {
  const settings = Object.entries(options.settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const child = spawn(process.execPath, [command, 'run', job, '--store', options.store, ...settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('utf8')).slice(-4_000)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve()
      else reject(new Error(`the job ended with ${code ?? signal}: ${said}`))
    })
  })
  // Whoever waits for it hears of a failure.
  ended.catch(() => undefined)
  return { child, ended }
}

/** Asks again every millisecond. @throws Error when the command ends before, or after `timeoutMs` */
export async function until<T>(running: RunningCommand, look: () => T | undefined, timeoutMs: number): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    const { exitCode, signalCode } = running.child
    if (exitCode !== null || signalCode !== null) await running.ended
    if (performance.now() > deadline) throw new Error(`nothing came within ${timeoutMs} ms`)
    await new Promise((resolve) => {
      setTimeout(resolve, 1)
    })
  }
}

/** Visible files of a file sink, in the order of their commits. */
export function visibleFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.startsWith('part-'))
      .toSorted()
  } catch {
    return []
  }
}
