/**
 * Preloaded into a child: sees its outside effects (file system calls that change something), writes them to a trace, and strikes where it
 * is told. An effect is named `<call> <path>`, the path relative to the working directory; calls on a descriptor have the path it was
 * opened with.
 *
 * Worker processes inherit it from the command, with a name: the first process that the command starts is `0`, the next one `1`, and so on, those
 * that take the place of a dead one too. It is what their lines of the trace begin with, like `0> `.
 *
 * SLUICE_STRIKES is JSON, a list of { match?, nth, moment, how, times?, whileFile?,
 *   slowMs?, in? }:
 * - match: a pattern that effect names begin with, `nth` counts those that match; without it `nth` counts all effects. `readdir` and `open` (for
 *   reading) can be matched, but are no effects: they are not traced and not counted.
 * - moment: `before` the call, or `after` it, before its caller hears of it.
 * - how: KILL; STOP (until the file SLUICE_WOKEN exists and SIGCONT has come); TERM (goes on); SLOW (the reply comes `slowMs` late, 100 ms if not said); or an
 *   error code that the call fails with, `before` it had any effect or `after` it had (a lost reply).
 * - times: how often an error is given, from `nth` on; whileFile: only while that file exists.
 * - in: only in the process of that name, `command` or a number; each process counts for itself.
 * SLUICE_CLOCK is JSON, [[afterMs, offsetMs], …]: the wall clock jumps to that offset when the process is so old.
 * SLUICE_TRACE takes a line per effect, `! <how> <effect>` per strike, and `# <pid>` of each worker. Lines are in the order in which things happened,
 * whichever process did them.
 */
import childProcess from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { relative } from 'node:path'

const { existsSync, openSync, writeSync } = fs
const self = process.env.SLUICE_PROCESS ?? 'command'
const strikes = JSON.parse(process.env.SLUICE_STRIKES ?? '[]')
  .filter((strike) => strike.in === undefined || String(strike.in) === self)
  .map((strike) => ({
    ...strike,
    pattern: strike.match === undefined ? undefined : new RegExp(`^(?:${strike.match})`),
    seen: 0,
  }))
const trace = process.env.SLUICE_TRACE === undefined ? undefined : openSync(process.env.SLUICE_TRACE, 'a')
const pathOf = new Map()
const SIGNALS = ['KILL', 'STOP', 'TERM']
const SLOW_MS = 100
const sleeper = new Int32Array(new SharedArrayBuffer(4))

function note(line) {
  if (trace !== undefined) writeSync(trace, `${self === 'command' ? '' : `${self}> `}${line}\n`)
}

/** The strikes that hit this very effect. */
function hits(name, isCounted) {
  if (isCounted) note(name)
  return strikes.filter((strike) => {
    if (strike.pattern === undefined ? !isCounted : !strike.pattern.test(name)) return false
    if (strike.whileFile !== undefined && !existsSync(strike.whileFile)) return false
    strike.seen += 1
    return strike.seen >= strike.nth && strike.seen < strike.nth + (strike.times ?? 1)
  })
}

function signal(hit, moment, name) {
  for (const { how, moment: when } of hit) {
    if (when !== moment || !SIGNALS.includes(how)) continue
    note(`! ${how} ${name}`)
    process.kill(process.pid, `SIG${how}`)
    // The signal may be taken by another thread: nothing more may happen on this one.
    if (how === 'KILL') Atomics.wait(sleeper, 0, 0)
    if (how === 'STOP') while (!existsSync(process.env.SLUICE_WOKEN)) Atomics.wait(sleeper, 0, 0, 2)
  }
}

function errorOf(hit, moment, name) {
  const strike = hit.find(({ how, moment: when }) => when === moment && how !== 'SLOW' && !SIGNALS.includes(how))
  if (strike === undefined) return undefined
  note(`! ${strike.how} ${name}`)
  return Object.assign(new Error(`${strike.how}: injected, ${name}`), { code: strike.how })
}

/** Undefined: a pipe or a terminal. */
function named(call, target) {
  const path = typeof target === 'number' ? pathOf.get(target) : String(target)
  return path === undefined ? undefined : `${call} ${relative(process.cwd(), path) || '.'}`
}

/** The names of link and rename are those that appear. */
function targetOf(call, args) {
  return call === 'link' || call === 'rename' ? args[1] : args[0]
}

function wrap(owner, name, call) {
  const original = owner[name]
  owner[name] = function counted(...args) {
    const isReading = call === 'readdir' || (call === 'open' && (args[1] === 'r' || typeof args[1] === 'function'))
    const effect = named(call, targetOf(call, args))
    if (effect === undefined) return Reflect.apply(original, this, args)
    const hit = hits(effect, !isReading)
    signal(hit, 'before', effect)
    const error = errorOf(hit, 'before', effect)
    const done = args.at(-1)
    if (typeof done !== 'function') {
      if (error !== undefined) throw error
      const result = Reflect.apply(original, this, args)
      signal(hit, 'after', effect)
      return result
    }
    if (error !== undefined) return void setImmediate(() => done(error))
    const slow = hit.find(({ how }) => how === 'SLOW')
    const delayMs = slow === undefined ? 0 : (slow.slowMs ?? SLOW_MS)
    if (delayMs > 0) note(`! SLOW ${effect}`)
    args[args.length - 1] = (...answer) => {
      if (call === 'open' && answer[0] === null) pathOf.set(answer[1], args[0])
      signal(hit, 'after', effect)
      const lost = errorOf(hit, 'after', effect)
      const reply = () => done(...(lost === undefined ? answer : [lost]))
      if (delayMs > 0) setTimeout(reply, delayMs)
      else reply()
    }
    return Reflect.apply(original, this, args)
  }
}

for (const call of ['link', 'rename', 'unlink', 'mkdir', 'write', 'fsync', 'fdatasync']) wrap(fs, `${call}Sync`, call)
for (const call of [
  'open',
  'link',
  'rename',
  'unlink',
  'mkdir',
  'rmdir',
  'readdir',
  'write',
  'writev',
  'fsync',
  'fdatasync',
])
  wrap(fs, call, call)

if (self !== 'command') note(`# ${process.pid}`)
let started = 0
const { spawn } = childProcess
childProcess.spawn = (file, argv, options) => {
  const env = { ...(options.env ?? process.env), SLUICE_PROCESS: String(started) }
  started += 1
  return spawn(file, argv, { ...options, env })
}
syncBuiltinESMExports()

const jumps = JSON.parse(process.env.SLUICE_CLOCK ?? '[]')
if (jumps.length > 0) {
  const { now } = Date
  Date.now = () => now() + (jumps.findLast(([afterMs]) => performance.now() >= afterMs)?.[1] ?? 0)
}
