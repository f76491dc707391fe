/**
 * `npm run docs`: writes the API reference, one page for each name that the package exports, to docs/api/ (which git does not keep). Fails
 * where something is not described.
 */
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { publicEntries, readReference } from './reference.ts'

const directory = resolve(process.argv[2] ?? 'docs/api')
const { problems, write } = await readReference(publicEntries())
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
await rm(directory, { recursive: true, force: true })
await write(directory)
console.log(`Open ${join(directory, 'index.html')}`)
