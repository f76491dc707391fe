/** The examples from Kafka to Kafka prove what they say, find what is done behind the job's back, and leave nothing behind. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Sabotage } from '../../examples/kafka-trial/options.ts'
import { Running } from '../cli/command.ts'

const TIMEOUT_MS = 240_000
const SMALL = ['--records', '6000', '--kills', '2', '--seed', '4']

type Example = 'kafka-orders' | 'ad-events'

let directory = ''
let children: ChildProcess[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-examples-'))
  children = []
})
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
})

function example(name: Example, ...argv: readonly string[]): Running {
  const child = spawn(process.execPath, ['--conditions=sluice-source', 'examples/run.ts', name, ...argv], {
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  return new Running(child)
}

function left(): readonly string[] {
  // Node keeps compiled code there, and the command its sockets.
  return readdirSync(directory).filter((name) => /^sluice-(kafka-orders|ad-events)-/.test(name))
}

test.each<readonly [Example, number]>([
  ['kafka-orders', 5],
  ['ad-events', 5],
])(
  '%s is exact for readers of committed records, whenever the job is killed',
  { timeout: TIMEOUT_MS },
  async (name, checks) => {
    const { code, out, err } = await example(name, ...SMALL).ended
    expect({ code, err, problems: out.match(/^WRONG: .*$/gm) }).toEqual({ code: 0, err: '', problems: null })
    expect(out.match(/^ {2}life \d: .*, killed$/gm)).toHaveLength(2)
    expect(out.match(/^ {2}✓ /gm)).toHaveLength(checks)
    expect(out).toMatch(/^ {2}✓ no transaction is open/m)
    expect(out.trimEnd().split('\n').at(-1)).toMatch(/^PROVEN: killed 2 times/)
    expect(left()).toEqual([])
  },
)

test.each<readonly [Example, Sabotage, RegExp]>([
  ['ad-events', 'double', /^WRONG: the rows of each key .* 1 wrong, such as revision \d+ of ad-/m],
  ['kafka-orders', 'forget', /^WRONG: running totals .*is wrong, or there twice$/m],
  ['kafka-orders', 'abandon', /^WRONG: a transaction is open in orders?-/m],
])('of %s, sabotage %s is found', { timeout: TIMEOUT_MS }, async (name, sabotage, finding) => {
  const { code, out, err } = await example(name, ...SMALL, '--sabotage', sabotage).ended
  expect({ code, err }).toEqual({ code: 1, err: '' })
  expect(out).toMatch(finding)
  expect(out).not.toMatch(/PROVEN/)
  expect(left()).toEqual([])
})

test('interrupted, it ends its processes and removes its files', { timeout: TIMEOUT_MS }, async () => {
  const running = example('kafka-orders', ...SMALL)
  await running.says('life 1')
  running.child.kill('SIGINT')
  const { code, out } = await running.ended
  expect(code).toBe(130)
  expect(out).not.toMatch(/PROVEN|WRONG/)
  expect(left()).toEqual([])
})

test('--help says what can be given, and what cannot is refused', async () => {
  const { code, out } = await example('ad-events', '--help').ended
  expect(code).toBe(0)
  for (const word of ['--records', '--kills', '--seed', '--sabotage', '--keep', 'double', 'forget', 'abandon']) {
    expect(out).toContain(word)
  }
  expect(await example('ad-events', '--kills', 'many').ended).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--kills many: give a whole number from 0 to 50/) as string,
  })
})
