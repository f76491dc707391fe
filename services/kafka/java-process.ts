/** Starts JVMs on the jars of an installation, so that none outlives who started it unless it is meant to. */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Installation } from './installation.ts'

export interface JavaOptions {
  readonly main: string
  readonly argv: readonly string[]
  /** Flags of the JVM beside those that all have. */
  readonly flags?: readonly string[]
  readonly stdio: StdioOptions
  /** Goes on when this process ends (default: it is killed with it, however this one ends). */
  readonly isDetached?: boolean
}

const FLAGS = [
  '-XX:+UseSerialGC',
  '-Xshare:auto',
  '-Xlog:disable',
  '-Xlog:all=error:stderr',
  '-Djava.awt.headless=true',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
  '-Dorg.slf4j.simpleLogger.showThreadName=false',
]

/**
 * The shell becomes the JVM. A child of the shell waits at fd 3 and kills the JVM when that closes without the word that all is well, as it
 * does when the process at its other end was killed.
 */
const GUARDED = '{ read -r word <&3; [ "$word" = ended ] || kill -9 $$; } </dev/null >/dev/null 2>&1 & exec "$@" 3<&-'
const GUARD_FD = 3

export function startJava(installation: Installation, options: JavaOptions): ChildProcess {
  const archive = existsSync(installation.classArchive) ? [`-XX:SharedArchiveFile=${installation.classArchive}`] : []
  const flags = [...FLAGS, ...archive, ...(options.flags ?? []), '-cp', installation.classPath]
  const argv = [...flags, options.main, ...options.argv]
  const streams = typeof options.stdio === 'string' ? [options.stdio, options.stdio, options.stdio] : options.stdio
  if (options.isDetached === true) {
    const child = spawn(installation.java, argv, { stdio: streams, detached: true })
    child.unref()
    return child
  }
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', installation.java, ...argv], { stdio: [...streams, 'pipe'] })
  const guard = child.stdio[GUARD_FD]
  if (guard !== null && guard !== undefined && 'end' in guard) {
    guard.on('error', () => undefined)
    child.once('exit', () => guard.end('ended\n'))
  }
  return child
}
