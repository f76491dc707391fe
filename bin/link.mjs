/**
 * Puts `sluice` beside the other commands of a checkout (node_modules/.bin), where npm scripts and shells look for it. Run by
 * npm's `prepare`; an installed package gets its command from npm itself.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

// The published package holds no tsconfig.json.
if (existsSync(`${root}/tsconfig.json`)) {
  const commands = `${root}/node_modules/.bin`
  mkdirSync(commands, { recursive: true })
  rmSync(`${commands}/sluice`, { force: true })
  symlinkSync('../../bin/sluice.mjs', `${commands}/sluice`)
}
