/**
 * Names of temporary files of the disk store: `~<host>-<pid>-<random>-<counter>`. The `~` keeps them out of the alphabet of keys. Host
 * (boot and pid namespace) and pid tell whether the writer of a leftover still lives.
 */
import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Leftovers of writers that cannot be asked go after a day. Removing one too early costs its writer a retry, never data. */
export const UNKNOWN_WRITER_AGE_MS = 24 * 60 * 60 * 1000

const NAME = /^~([0-9a-f]{8})-(\d+)-/

export function isTemporary(name: string): boolean {
  return name.startsWith('~')
}

/** `<host>-<pid>` of this process. */
export function temporaryOwner(): string {
  return `${hostToken()}-${process.pid}`
}

/** Is the writer of this temporary file gone for certain? */
export function isWriterDead(name: string): boolean {
  const [, host, pid] = NAME.exec(name) ?? []
  if (host !== hostToken() || pid === undefined) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH'
  }
}

let token: string | undefined

function hostToken(): string {
  token ??= createHash('sha256')
    .update(
      [
        hostname(),
        orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
        orEmpty(() => readlinkSync('/proc/self/ns/pid')),
      ].join('\n'),
    )
    .digest('hex')
    .slice(0, 8)
  return token
}

function orEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
