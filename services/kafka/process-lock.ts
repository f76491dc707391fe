/**
 * One process at a time does something that others on the machine want too. A lock file holds the pid of who does it; that of a process
 * that ended is taken over. It keeps work from being done twice; what is done must be safe all the same.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { TerminalError } from '../../engine/api/index.ts'

const LOOK_AGAIN_MS = 100

export async function withProcessLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs
  while (!take(path)) {
    dropStale(path)
    if (Date.now() > deadline) {
      const holder = holderOf(path) ?? '?'
      throw new TerminalError(`process ${holder} has held ${path} for ${timeoutMs} ms: end it, or remove the file`)
    }
    await sleep(LOOK_AGAIN_MS)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/** The file appears with its content or not at all. */
function take(path: string): boolean {
  const own = `${path}.${process.pid}`
  writeFileSync(own, `${process.pid}`)
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(own, { force: true })
  }
}

function dropStale(path: string): void {
  const holder = holderOf(path)
  if (holder === undefined || isAlive(holder)) return
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
    // Another process may have been faster: what was moved is then its fresh lock.
    const moved = Number(readFileSync(aside, 'utf8'))
    if (isAlive(moved)) linkSync(aside, path)
  } catch {
    // Somebody else took it away, or a third one has the lock by now: the next look decides.
  } finally {
    rmSync(aside, { force: true })
  }
}

function holderOf(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
