/**
 * The version of the package this file is in: one directory up in a checkout, two in an installed package.
 */
import { existsSync, readFileSync } from 'node:fs'

export function packageVersion(): string {
  const file = ['../package.json', '../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url))
  const parsed: unknown = file === undefined ? {} : JSON.parse(readFileSync(file, 'utf8'))
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return 'unknown'
  return String(parsed.version)
}
