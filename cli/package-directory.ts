/**
 * Where the package lies that this file is in: one directory up in a checkout, two in an installed package.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface PackageDescription {
  readonly version: string
  readonly engines: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

export function isCheckout(): boolean {
  return existsSync(new URL('../package.json', import.meta.url))
}

/** With a slash at its end. */
export function packageDirectory(): string {
  return fileURLToPath(new URL(isCheckout() ? '../' : '../../', import.meta.url))
}

/** Our own package.json. */
export function readPackageDescription(): PackageDescription {
  return JSON.parse(readFileSync(`${packageDirectory()}package.json`, 'utf8')) as PackageDescription
}
