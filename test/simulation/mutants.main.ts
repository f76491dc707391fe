/**
 * A child process that loads the engine once for each mutant it is told by name, with the mutant's edits made while it is loaded, and
 * prints what the simulation finds, a JSON line for each.
 */
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { hunt as Hunt } from './hunt.ts'
import { MUTANTS } from './mutants.ts'

const ROOT = new URL('../../', import.meta.url).href
const MOST_LIVES = 200
const applied = new Set<string>()

registerHooks({
  /** A module that a mutant's module imports is that mutant's own, too. */
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    const mutant = context.parentURL === undefined ? null : new URL(context.parentURL).searchParams.get('mutant')
    const isOurs = resolved.url.startsWith(ROOT) && !resolved.url.includes('/node_modules/')
    if (mutant === null || !isOurs) return resolved
    return { ...resolved, url: `${resolved.url}?mutant=${encodeURIComponent(mutant)}` }
  },
  load(url, context, next) {
    const loaded = next(url, context)
    const mutant = url.startsWith('file:') ? new URL(url).searchParams.get('mutant') : null
    const file = mutant === null ? '' : fileURLToPath(url).slice(fileURLToPath(ROOT).length)
    const edits = (MUTANTS[mutant ?? ''] ?? []).filter((one) => one.file === file)
    if (edits.length === 0) return loaded
    let source = Buffer.from(loaded.source as Uint8Array).toString()
    for (const { find, replace } of edits) {
      if (!source.includes(find)) throw new Error(`the edit of mutant "${mutant}" does not apply to ${file} any more`)
      source = source.replace(find, () => replace)
      applied.add(`${mutant} ${find}`)
    }
    return { ...loaded, source }
  },
})

for (const name of process.argv.slice(2)) {
  const { hunt } = (await import(`./hunt.ts?mutant=${encodeURIComponent(name)}`)) as { readonly hunt: typeof Hunt }
  const found = await hunt(MOST_LIVES)
  const isApplied = (MUTANTS[name] ?? []).every(({ find }) => applied.has(`${name} ${find}`))
  console.log(JSON.stringify({ name, isApplied, ...found }))
}
