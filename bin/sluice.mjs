#!/usr/bin/env node
/**
 * The `sluice` command. In a checkout it runs the TypeScript sources, in an installed package it runs dist/ (ourselves.mjs).
 *
 * A checkout brings its own Node: where the one in PATH is too old, the command goes on in that one.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 24

const major = Number(process.versions.node.split('.')[0])

if (major < OLDEST_NODE) {
  const own = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  const isCheckout = existsSync(new URL('../cli/main.ts', import.meta.url))
  const { runIn } = await import('./own-node.mjs')
  if (isCheckout && existsSync(own))
    process.exit(await runIn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)]))
  const cure = isCheckout ? 'run `npm ci` in the checkout, which brings its own' : 'put a newer node first in PATH'
  const refusal = {
    code: 'SLUICE_NODE_TOO_OLD',
    message: `sluice needs Node.js ${OLDEST_NODE} or newer; this is ${process.version} (${process.execPath}): ${cure}`,
  }
  if (process.argv.includes('--json'))
    console.log(JSON.stringify({ event: 'refused', exitCode: 2, code: refusal.code, error: refusal.message }))
  else console.error(`sluice: ${refusal.message} [${refusal.code}]`)
  process.exit(2)
}
if (process.env.SLUICE_STARTER_FD !== undefined) (await import('./own-node.mjs')).endWithStarter()

const { importOurs } = await import('./ourselves.mjs')
const { main } = await importOurs('main')
process.exit(await main(process.argv.slice(2)))
