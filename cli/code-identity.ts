/**
 * What code a job is: a hash of the job file, its local imports and the nearest lock file. Shown in status and kept in the log.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'

/** Static, re-exporting and literal dynamic imports; one in a comment costs a look at a file that is not there. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"?#]+)/g
const LOCK_FILES = ['package-lock.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock']

/** 32 hex digits; equal wherever the same files lie in the same places around the job file. */
export async function codeIdentity(jobFile: string): Promise<string> {
  const root = dirname(jobFile)
  const files = new Map<string, Buffer>()
  const open = [resolve(jobFile)]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    const name = relative(root, file).split(sep).join('/')
    const bytes = files.has(name) ? undefined : await readFile(file).catch(() => undefined)
    if (bytes === undefined) continue
    files.set(name, bytes)
    open.push(...importsOf(file, bytes))
  }
  const lock = await nearestLockFile(root)
  // No relative name begins with a slash.
  if (lock !== undefined) files.set('/lock', lock)
  const hash = createHash('sha256')
  for (const [name, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest('hex').slice(0, 32)
}

function importsOf(file: string, bytes: Buffer): readonly string[] {
  return [...bytes.toString('utf8').matchAll(IMPORT)].map((match) => resolve(dirname(file), match[1] ?? ''))
}

async function nearestLockFile(from: string): Promise<Buffer | undefined> {
  for (let at = from; ; at = dirname(at)) {
    for (const name of LOCK_FILES) {
      const bytes = await readFile(join(at, name)).catch(() => undefined)
      if (bytes !== undefined) return bytes
    }
    if (at === dirname(at)) return undefined
  }
}
