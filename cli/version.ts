/**
 * The version of this package.
 */
import { readPackageDescription } from './package-directory.ts'

export function packageVersion(): string {
  return readPackageDescription().version
}
