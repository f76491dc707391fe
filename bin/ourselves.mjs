/**
 * Our own name in a job file means this package, wherever the file lies: so it gets the very engine that runs it, never a second copy. In a
 * checkout it means the TypeScript sources as they are (Node strips the types), in an installed package dist/.
 */
import { existsSync } from 'node:fs'
import module from 'node:module'

export const isCheckout = existsSync(new URL('../cli/main.ts', import.meta.url))

/** Imports a file of cli/, by its name without the extension; from here on imports of ours are resolved. */
export function importOurs(name) {
  module.enableCompileCache()
  module.registerHooks({ resolve: resolveOurselves })
  return import(new URL(isCheckout ? `../cli/${name}.ts` : `../dist/cli/${name}.js`, import.meta.url).href)
}

function resolveOurselves(specifier, context, nextResolve) {
  if (specifier !== 'sluice' && !specifier.startsWith('sluice/')) return nextResolve(specifier, context)
  const conditions = isCheckout ? [...context.conditions, 'sluice-source'] : context.conditions
  const { parentURL } = context
  try {
    return nextResolve(specifier, { ...context, conditions, parentURL: import.meta.url })
  } catch (error) {
    const message = `this version of sluice has no '${specifier}', which ${parentURL} imports`
    throw Object.assign(new Error(message, { cause: error }), { code: error.code })
  }
}
