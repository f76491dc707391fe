#!/usr/bin/env node
/**
 * The `sluice` command. In a checkout it runs the TypeScript sources as they are (Node strips the types); in an installed
 * package it runs dist/. Either way a job file that imports `sluice` gets the very engine that runs it, never a second copy.
 *
 * A checkout brings its own Node: where the one in PATH is too old, the command goes on in that one.
 */
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 24

const major = Number(process.versions.node.split('.')[0])
const sources = new URL('../cli/main.ts', import.meta.url)
const isCheckout = existsSync(sources)

if (major < OLDEST_NODE) {
  const own = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  const { runIn } = await import('./own-node.mjs')
  if (isCheckout && existsSync(own))
    process.exit(await runIn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)]))
  console.error(
    `sluice needs Node.js ${OLDEST_NODE} or newer; this is ${process.version} (${process.execPath}). ` +
      `${isCheckout ? 'Run `npm ci` in the checkout, which brings its own' : 'Put a newer node first in PATH'}.`,
  )
  process.exit(2)
}
if (process.env.SLUICE_STARTER_FD !== undefined) (await import('./own-node.mjs')).endWithStarter()

module.enableCompileCache()
module.registerHooks({ resolve: resolveOurselves })

const { main } = await import(isCheckout ? sources.href : new URL('../dist/cli/main.js', import.meta.url).href)
process.exit(await main(process.argv.slice(2)))

/** Our own name means this package, wherever the job file lies; in a checkout it means the sources. */
function resolveOurselves(specifier, context, nextResolve) {
  if (specifier !== 'sluice' && !specifier.startsWith('sluice/')) return nextResolve(specifier, context)
  const conditions = isCheckout ? [...context.conditions, 'sluice-source'] : context.conditions
  return nextResolve(specifier, { ...context, conditions, parentURL: import.meta.url })
}
