/** Preloaded: at the exit, all files that were loaded are in the file that LOADED names, one a line. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const urls = []
registerHooks({
  load(url, context, nextLoad) {
    urls.push(url)
    return nextLoad(url, context)
  },
})
process.on('exit', () => writeFileSync(process.env.LOADED, urls.join('\n')))
