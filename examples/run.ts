/** `npm run example -- <name>` runs examples/<name>/main.ts; without a name it lists the examples. */
import { existsSync, readdirSync } from 'node:fs'

const here = new URL('./', import.meta.url)
const [name, ...rest] = process.argv.slice(2)

const names = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(new URL(`${entry.name}/main.ts`, here)))
  .map((entry) => entry.name)
  .toSorted()

if (name === undefined || !names.includes(name)) {
  if (name !== undefined) console.error(`There is no example "${name}".`)
  console.error(`Usage: npm run example -- <name>\nExamples: ${names.join(', ') || '(none yet)'}`)
  process.exitCode = 2
} else {
  const main = new URL(`${name}/main.ts`, here)
  process.argv = [process.execPath, main.pathname, ...rest]
  await import(main.href)
}
