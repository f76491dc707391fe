/** `npm run bench -- <name> [--quick]` runs bench/<name>.ts; without a name it lists the benchmarks. */
import { readdirSync } from 'node:fs'

const here = new URL('./', import.meta.url)
const [name, ...rest] = process.argv.slice(2)

const names = readdirSync(here)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length))
  .toSorted()

if (name === undefined || !names.includes(name)) {
  if (name !== undefined) console.error(`There is no benchmark "${name}".`)
  console.error(`Usage: npm run bench -- <name> [--quick]\nBenchmarks: ${names.join(', ') || '(none yet)'}`)
  process.exitCode = 2
} else {
  const main = new URL(`${name}.ts`, here)
  process.argv = [process.execPath, main.pathname, ...rest]
  await import(main.href)
}
