/** The demo proves what it says, finds whatever is done behind the job's back, and leaves nothing behind. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SABOTAGES, type Sabotage } from '../../examples/demo/saboteur.ts'
import { Running } from '../cli/command.ts'
import { until } from '../kills/run.ts'

const SMALL = ['--seed', '3', '--records', '10000', '--kills', '0', '--seconds', '2']

let directory = ''
let children: ChildProcess[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-demo-test-'))
  children = []
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})

function demo(...argv: readonly string[]): Running {
  return demoOf([], ...argv)
}

/** `options`: of Node, in all its processes. */
function demoOf(options: readonly string[], ...argv: readonly string[]): Running {
  const main = ['--conditions=sluice-source', 'examples/demo/main.ts']
  const preload = options.map((one) => (one.startsWith('.') ? resolve(one) : one)).join(' ')
  const env = { ...process.env, TMPDIR: directory, ...(preload === '' ? {} : { NODE_OPTIONS: preload }) }
  const child = spawn(process.execPath, [...main, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  return new Running(child)
}

test('each order comes out exactly once, whenever the job is killed', { timeout: 120_000 }, async () => {
  const argv = ['--seed', '5', '--records', '15000', '--kills', '3', '--seconds', '3']
  const { code, out, err } = await demo(...argv).ended
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out.match(/killed \(SIGKILL\)/g)).toHaveLength(3)
  expect(out).toMatch(/stopped \(SIGTERM\) .*\n.*\n.*finished/s)
  expect(out.match(/✗/g)).toBeNull()
  expect(out.trimEnd().split('\n').at(0)).toMatch(/^A job is killed 3 times while 15,000 orders come in/)
  expect(out.trimEnd().split('\n').at(-1)).toMatch(/^PROVEN: killed 3 times, and each of 15,000 orders and 12,\d+ /)
  expect(leftIn(directory)).toEqual([])
})

/** What the reader says, and what DuckDB does. */
const FOUND: Readonly<Record<Sabotage, readonly RegExp[]>> = {
  double: [/was changed after it had been seen/, /order o-\d+ is wrong, or there twice/, /comes after o-/],
  drop: [/was changed after it had been seen/, /order o-\d+ is missing/],
  change: [
    /was changed after it had been seen/,
    /total \d+ of c-\d+, \d+ cents, is missing/,
    /the last total is|✗ running/,
  ],
  swap: [/was changed after it had been seen/, /total \d+ of c-\d+ is in place \d+/],
  vanish: [/has vanished, with the \d+ records/, /total \d+ of c-\d+, \d+ cents, is missing/],
  early: [/is visible with \d+ records, and no completed checkpoint has confirmed it/, /claims that do not hold: 0/],
}

describe('what is done behind the back of the job is found', () => {
  test.each(Object.keys(SABOTAGES) as readonly Sabotage[])('%s', { timeout: 120_000 }, async (sabotage) => {
    const { code, out, err } = await demo(...SMALL, '--sabotage', sabotage).ended
    expect({ code, err }).toEqual({ code: 1, err: '' })
    for (const finding of FOUND[sabotage]) expect(out).toMatch(finding)
    expect(out).not.toMatch(/PROVEN/)
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^WRONG: found by the reader: [1-9]/)
    expect(leftIn(directory)).toEqual([])
  })
})

test(
  'a sink that shows its output before the checkpoint has completed is found (C1)',
  { timeout: 120_000 },
  async () => {
    const { code, out } = await demoOf(['--import', './test/examples/early-commits.mjs'], ...SMALL).ended
    expect(code).toBe(1)
    expect(out).toMatch(/is visible with \d+ records, and no completed checkpoint has confirmed it/)
    // At the end all is as it should be: that alone would prove nothing.
    expect(out).toMatch(/claims that do not hold: 0/)
  },
)

describe('it does not outlive its end:', () => {
  test('interrupted, it ends its processes and removes its files', { timeout: 120_000 }, async () => {
    const running = demo('--seed', '5')
    await running.says('is visible')
    const started = processesIn(directory)
    expect(started.length).toBeGreaterThanOrEqual(1)
    running.child.kill('SIGINT')
    const { code, out } = await running.ended
    expect(code).toBe(130)
    expect(out).not.toMatch(/PROVEN|WRONG/)
    expect(leftIn(directory)).toEqual([])
    await until(() => started.every(isGone), 'its processes to end')
  })

  test('killed, it takes the job and the reader with it', { timeout: 120_000 }, async () => {
    const running = demo('--seed', '5')
    await running.says('is visible')
    const started = processesIn(directory)
    expect(started.length).toBeGreaterThanOrEqual(1)
    running.child.kill('SIGKILL')
    await running.ended
    await until(() => started.every(isGone), 'its processes to end')
  })
})

test.each([
  [['--kills', 'many'], /--kills many: give a whole number from 0 to 100/],
  [['--sabotage', 'shout'], /give one of double, drop, change, swap, vanish, early/],
  [['--fast'], /Unknown option '--fast'/],
])('%s is refused', async (argv, why) => {
  const { code, err } = await demo(...argv).ended
  expect(code).toBe(2)
  expect(err).toMatch(why)
})

test('its help lists every option and every sabotage', async () => {
  const { code, out } = await demo('--help').ended
  expect(code).toBe(0)
  const options = ['--seed', '--kills', '--records', '--seconds', '--sabotage', '--keep', '--no-color']
  for (const word of [...options, ...Object.keys(SABOTAGES)]) expect(out).toContain(word)
})

/** Node keeps compiled code there too. */
function leftIn(place: string): readonly string[] {
  return readdirSync(place).filter((name) => name.startsWith('sluice-demo-'))
}

/** Of the demo in that directory, by what their command lines and their working directories say. */
function processesIn(place: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    return commandOf(Number(name)).includes(place) || workingDirectoryOf(Number(name)).startsWith(place)
      ? [Number(name)]
      : []
  })
}

function commandOf(pid: number): string {
  return orEmpty(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
}

function workingDirectoryOf(pid: number): string {
  return orEmpty(() => readlinkSync(`/proc/${pid}/cwd`))
}

/** A zombie has no command line any more. */
function isGone(pid: number): boolean {
  return commandOf(pid) === ''
}

function orEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
