/**
 * What code a job is: a hash of the job file, its local imports and the lock file beside them. Shown in status and kept in the log.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'

const IMPORT = /(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g
const LOCK_FILES = ['package-lock.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock']

/** 32 hex digits; equal on every machine that has the same files. */
export async function codeIdentity(jobFile: string): Promise<string> {
  const root = dirname(jobFile)
  const texts = new Map<string, string>()
  await gather(jobFile, root, texts)
  const lock = await nearestLockFile(root)
  if (lock !== undefined) texts.set('lock', lock)
  const hash = createHash('sha256')
  for (const [name, text] of [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${text.length}\0${text}`)
  }
  return hash.digest('hex').slice(0, 32)
}

async function gather(file: string, root: string, texts: Map<string, string>): Promise<void> {
  const name = relative(root, file)
  if (texts.has(name)) return
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return
  texts.set(name, text)
  for (const [, specifier] of text.matchAll(IMPORT)) {
    if (specifier !== undefined) await gather(resolve(dirname(file), specifier), root, texts)
  }
}

async function nearestLockFile(from: string): Promise<string | undefined> {
  for (let at = from; ; at = dirname(at)) {
    for (const name of LOCK_FILES) {
      const text = await readFile(join(at, name), 'utf8').catch(() => undefined)
      if (text !== undefined) return text
    }
    if (at === dirname(at)) return undefined
  }
}
