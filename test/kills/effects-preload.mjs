/**
 * Preloaded into a child: counts its outside effects (file system calls that change something) and kills or stops the process before or
 * after the one it is told. SLUICE_KILL=<number>:<before|after>:<KILL|STOP>; without it the effects are only counted. The count is
 * written to SLUICE_EFFECTS at exit.
 */
import fs from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

const [at, moment, how] = (process.env.SLUICE_KILL ?? '0:none:KILL').split(':')
const target = Number(at)
let effects = 0

function strike(now) {
  if (effects === target) strikeNow(now)
}

function strikeNow(now) {
  if (now !== moment) return
  process.kill(process.pid, `SIG${how}`)
  // SIGKILL is asynchronous to this thread for a moment: nothing more may happen on it.
  if (how === 'KILL') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

function wrap(owner, name) {
  const original = owner[name]
  if (typeof original !== 'function') return
  owner[name] = function counted(...args) {
    if (name === 'open' && (args[1] === 'r' || args[1] === fs.constants.O_RDONLY || typeof args[1] === 'function')) {
      return Reflect.apply(original, this, args)
    }
    effects += 1
    const mine = effects
    strike('before')
    const done = args.at(-1)
    if (typeof done === 'function') {
      args[args.length - 1] = (...answer) => {
        if (mine === target) strikeNow('after')
        done(...answer)
      }
      return Reflect.apply(original, this, args)
    }
    const result = Reflect.apply(original, this, args)
    if (typeof result?.then !== 'function') {
      strike('after')
      return result
    }
    return result.then((value) => {
      if (mine === target) strikeNow('after')
      return value
    })
  }
}

const probe = await promises.open(new URL(import.meta.url).pathname, 'r')
const handlePrototype = Object.getPrototypeOf(probe)
await probe.close()
for (const name of ['link', 'rename', 'unlink', 'mkdir', 'rm']) wrap(promises, name)
for (const name of ['linkSync', 'renameSync', 'unlinkSync', 'mkdirSync', 'writeSync', 'fsyncSync', 'fdatasyncSync'])
  wrap(fs, name)
for (const name of ['open', 'link', 'rename', 'unlink', 'mkdir', 'rmdir', 'write', 'writev', 'fsync', 'fdatasync'])
  wrap(fs, name)
for (const name of ['write', 'writeFile', 'sync', 'datasync']) wrap(handlePrototype, name)
syncBuiltinESMExports()
process.on('exit', () => {
  if (process.env.SLUICE_EFFECTS !== undefined) fs.appendFileSync(process.env.SLUICE_EFFECTS, `${effects}\n`)
})
