/**
 * `npm run bench -- parallel [--quick] [--only=<shape>,…]`: what many subtasks cost and give. Each shape runs in a process of its own and
 * checks what it wrote. What each is, its target and what limits it: docs/performance.md.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RestartOptions, RestartResult } from './parallel/restart.ts'

const RESTART = fileURLToPath(new URL('parallel/restart.ts', import.meta.url))
const quick = process.argv.includes('--quick')
const only = process.argv
  .find((one) => one.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')

interface Measured {
  readonly isRight: boolean
}

/** By name; `quick` leaves out those that are large. */
const SHAPES: Readonly<Record<string, { readonly isLarge?: boolean; readonly measure: () => Measured }>> = {
  'restart-100k': { measure: () => restart({ keys: 100_000, parallelism: 2, failures: quick ? 1 : 7 }) },
  'restart-1m': { isLarge: true, measure: () => restart({ keys: 1_000_000, parallelism: 2, failures: 7 }) },
}

const details: Record<string, Measured> = {}
for (const [name, { isLarge = false, measure }] of Object.entries(SHAPES)) {
  if (only === undefined ? quick && isLarge : !only.includes(name)) continue
  details[name] = measure()
  console.error(name, JSON.stringify(details[name]))
}
const verified = Object.values(details).every(({ isRight }) => isRight)
console.log(JSON.stringify({ bench: 'parallel', verified, quick, ...details }))
if (!verified) process.exitCode = 1

function restart(options: RestartOptions): RestartResult {
  return JSON.parse(runFile(RESTART, options)) as RestartResult
}

function runFile(file: string, options: object): string {
  return execFileSync(process.execPath, ['--conditions=sluice-source', file, JSON.stringify(options)], {
    encoding: 'utf8',
  })
}
