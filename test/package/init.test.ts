/** What `sluice init` writes, as a new user has it: installed by npm, tested, run, killed, run again. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { mustRun, Packed, run, userEnvironment } from './packed.ts'

interface Payment {
  readonly account: string
  readonly cents: number
}

const LINES = 120
const FED_LINES = 60
const LATE_LINES = ['{"account":"anna","cents":-1000000}', '{"account":"zoe","cents":1}']
const ALL_LINES = LINES + FED_LINES + LATE_LINES.length
const DEADLINE = { timeout: 90_000, interval: 20 }

let packed: Packed
let project: string
/** What `sluice init` said. */
let said: string
const started: ChildProcess[] = []

beforeAll(() => {
  packed = new Packed()
  const user = packed.install('user')
  project = join(packed.directory, 'project')
  said = mustRun(user, 'npx', '--no-install', 'sluice', 'init', '../project')
}, 180_000)
afterAll(() => {
  for (const child of started) signalGroup(child, 'SIGKILL')
  packed[Symbol.dispose]()
})

/** npm, its shell and what they run, in a process group of their own. */
function npm(...argv: readonly string[]): ChildProcess {
  const log = openSync(join(packed.directory, 'log'), 'a')
  const child = spawn('npm', argv, { cwd: project, env: userEnvironment, detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  started.push(child)
  return child
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // All of it has ended.
  }
}

/** Of all visible files of a directory, in order of their names. */
function visibleLines(directory: string): readonly string[] {
  const path = join(project, directory)
  const names = existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.')) : []
  return names.toSorted().flatMap((name) => linesOf(readFileSync(join(path, name), 'utf8')))
}

function linesOf(text: string): readonly string[] {
  return text.trimEnd().split('\n')
}

/** Where it does not come to that, what the processes said is shown. */
async function balancesAre(right: (count: number) => boolean): Promise<void> {
  await vi.waitFor(() => {
    const count = visibleLines('out/balances').length
    if (!right(count)) throw new Error(`${count} balances; ${readFileSync(join(packed.directory, 'log'), 'utf8')}`)
  }, DEADLINE)
}

test('it says what comes next', () => {
  expect(said).toMatch(/\nNext:\n {2}cd \.\.\/project\n {2}npm install\n {2}npm test\n {2}npm start\n$/)
})

test('it asks for the very version that wrote it, and for the tools that version was tested with', () => {
  const ours = JSON.parse(readFileSync('package.json', 'utf8')) as {
    version: string
    engines: object
    devDependencies: Record<string, string>
  }
  const written = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as object
  const { '@types/node': types, typescript, vitest } = ours.devDependencies
  expect(written).toMatchObject({
    name: 'project',
    type: 'module',
    engines: ours.engines,
    dependencies: { sluice: ours.version },
    devDependencies: { '@types/node': types, typescript, vitest },
  })
  expect(existsSync(join(project, '.npmrc'))).toBe(false)
})

test('npm installs it, its types are right, its tests pass, its plan can be read', { timeout: 120_000 }, () => {
  packed.installInto(project)
  mustRun(project, 'npm', 'run', 'check')
  const report = mustRun(project, 'npm', 'test')
  expect(report).toMatch(/Tests {2}\d{2,} passed/)
  expect(report).toContain('each payment counts once')
  expect(mustRun(project, 'npm', 'run', 'plan')).toMatch(/payments -> warnings: exactly-once/)
})

test(
  'killed while payments come in, and started again, it has counted each of them once',
  { timeout: 240_000 },
  async () => {
    const first = npm('start')
    await balancesAre((count) => count === LINES)
    const feeding = npm('run', 'feed', '--', String(FED_LINES))
    await balancesAre((count) => count > LINES)
    const death = once(first, 'close')
    signalGroup(first, 'SIGKILL')
    await death
    if (feeding.exitCode === null) await once(feeding, 'close')
    appendFileSync(join(project, 'data/payments.ndjson'), `${LATE_LINES.join('\n')}\n`)

    const second = npm('start')
    await balancesAre((count) => count === ALL_LINES)
    const end = once(second, 'close')
    signalGroup(second, 'SIGINT')
    await end

    const payments = linesOf(readFileSync(join(project, 'data/payments.ndjson'), 'utf8'))
    expect(payments.length).toBe(ALL_LINES)
    const { balances, warnings } = expected(payments.map((line) => JSON.parse(line) as Payment))
    expect(visibleLines('out/balances')).toEqual(balances)
    expect(visibleLines('out/warnings')).toEqual(warnings)
    expect(readdirSync(join(project, 'out/warnings')).filter((name) => name.startsWith('.'))).toEqual([])
    expect(run(project, 'npx', '--no-install', 'sluice', 'status', 'project').stdout).toMatch(/^project: STOPPED/)
  },
)

/** By other means than the job's. */
function expected(payments: readonly Payment[]) {
  const balances: string[] = []
  const warnings: string[] = []
  for (const [index, { account }] of payments.entries()) {
    const mine = payments.slice(0, index + 1).filter((payment) => payment.account === account)
    const cents = mine.reduce((sum, payment) => sum + payment.cents, 0)
    balances.push(JSON.stringify({ account, payments: mine.length, cents }))
    if (cents < 0) warnings.push(`${account} is at ${(cents / 100).toFixed(2)} after ${mine.length} payments`)
  }
  return { balances, warnings }
}
