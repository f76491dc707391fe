/** docs/operations.md, done: its unit starts the job, its scripts are run by a shell, and what it warns of is shown. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COMMAND, Running } from '../cli/command.ts'
import { until } from '../kills/run.ts'
import { ROOT, SnippetProject, snippetsOf } from './snippets.ts'

const markdown = readFileSync('docs/operations.md', 'utf8')
const DEADLINE_MS = 60_000

function named(name: string): string {
  const text = snippetsOf(markdown).find((one) => one.name === name)?.text
  if (text === undefined) throw new Error(`docs/operations.md has no ${name}`)
  return text
}

/** Of the unit, `name=value`. */
function unit(name: string): string {
  return new RegExp(`^${name}=(.*)$`, 'm').exec(named('orders.service'))?.[1] ?? ''
}

interface Total {
  readonly customer: string
}

/** The directory of the service, and systemd as far as this page needs it. */
class Service implements Disposable {
  readonly #project = new SnippetProject(markdown)
  readonly #children: ChildProcess[] = []
  #running: Running | undefined
  #orders = 0

  constructor() {
    mkdirSync(this.path('data'))
  }

  path(...names: readonly string[]): string {
    return join(this.#project.directory, ...names)
  }

  /** As the unit says. */
  start(options: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Running {
    const [program = '', ...argv] = unit('ExecStart').split(' ')
    if (program !== '/usr/bin/node') throw new Error(`the unit starts ${program}`)
    this.#running = this.#spawn(process.execPath, [...options, ...argv], env)
    return this.#running
  }

  async stop(): Promise<number | null> {
    this.#running?.child.kill('SIGTERM')
    return (await this.#running?.ended)?.code ?? null
  }

  async kill(): Promise<void> {
    this.#running?.child.kill('SIGKILL')
    await this.#running?.ended
  }

  /** A script of the page to its end; what is said to systemctl is done here. */
  async run(name: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
    for (const command of named(name).trimEnd().split('\n')) {
      if (command === 'systemctl stop orders') await this.stop()
      else if (command === 'systemctl start orders') this.start()
      else execFileSync('/bin/sh', ['-ec', SHIM + command], { cwd: this.path(), env: { ...process.env, ...env } })
    }
  }

  /** A script of the page that goes on until it is stopped. */
  byHand(name: string, env: NodeJS.ProcessEnv = {}): Running {
    this.#running = this.#spawn('/bin/sh', ['-ec', SHIM + named(name)], env)
    return this.#running
  }

  /** Orders of one more customer each, so that a total is a number of orders. */
  post(count: number): void {
    const lines = Array.from(
      { length: count },
      () => `${JSON.stringify({ customer: `c-${this.#orders++}`, cents: 1 })}\n`,
    )
    appendFileSync(this.path('data/a.ndjson'), lines.join(''))
  }

  /** Customers in the visible output, sorted. */
  visible(): readonly string[] {
    const names = namesIn(this.path('out')).filter((name) => !name.startsWith('.'))
    const lines = names.flatMap((name) => readFileSync(this.path('out', name), 'utf8').split('\n'))
    const customers = lines.flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as Total).customer]))
    return customers.toSorted()
  }

  async shows(count: number): Promise<void> {
    await until(() => this.visible().length >= count, `${count} totals`, DEADLINE_MS)
  }

  /** Customers of all orders so far, sorted: what is visible when each came out once. */
  get posted(): readonly string[] {
    return Array.from({ length: this.#orders }, (_, index) => `c-${index}`).toSorted()
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL')
    this.#project[Symbol.dispose]()
  }

  #spawn(program: string, argv: readonly string[], env: NodeJS.ProcessEnv): Running {
    const options = { cwd: this.path(), env: { ...process.env, ...env } }
    const child = spawn(program, argv, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#children.push(child)
    return new Running(child)
  }
}

/** `exec`: a signal reaches the command. In the middle of a script it must come back. */
const SHIM = `npx() { shift; case "$1" in run) exec "${process.execPath}" "${COMMAND}" "$@";; esac; "${process.execPath}" "${COMMAND}" "$@"; }\n`

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

let service: Service
beforeEach(() => {
  service = new Service()
})
afterEach(() => service[Symbol.dispose]())

describe('the unit', () => {
  test('is one that systemd takes, where there is one', (context) => {
    const file = service.path('orders.service')
    writeFileSync(
      file,
      named('orders.service').replace('/usr/bin/node', '/bin/true').replace('User=orders', 'User=root'),
    )
    const { status, stderr, error } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' })
    if (error !== undefined) context.skip()
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('knows the exit codes: a stop is a success, a refusal is not tried again, a second copy stands by', async () => {
    service.post(10)
    const first = service.start()
    await service.shows(10)
    const second = service.start()
    const { code, out } = await second.ended
    expect({ code, out }).toMatchObject({ code: 3, out: expect.stringContaining('"exitCode":3') })
    first.child.kill('SIGTERM')
    expect(String((await first.ended).code)).toBe(unit('SuccessExitStatus'))
    writeFileSync(service.path('orders.ts'), 'export default 1\n')
    expect(String((await service.start().ended).code)).toBe(unit('RestartPreventExitStatus'))
  })
})

describe('a backup', () => {
  test('of store and output together is restored together', async () => {
    const env = { BACKUP: service.path('backup') }
    service.post(10)
    service.start()
    await service.shows(10)
    await service.run('backup.sh', env)
    service.post(10)
    await service.shows(20)
    await service.run('restore.sh', env)
    await service.shows(20)
    expect(await service.stop()).toBe(143)
    expect(service.visible()).toEqual(service.posted)
  })

  test('of positions and state is a savepoint: what came since is repeated, nothing is replaced', async () => {
    const env = { SAVEPOINT: service.path('savepoint') }
    service.post(10)
    service.start()
    await service.shows(10)
    await service.stop()
    await service.run('savepoint.sh', env)
    service.start()
    service.post(10)
    await service.shows(20)
    await service.run('savepoint.sh', { SAVEPOINT: service.path('of-a-running-job') })
    await service.stop()
    const before = namesIn(service.path('out'))
    rmSync(service.path('.sluice'), { recursive: true })
    await service.byHand('from-savepoint.sh', env).says('running')
    await service.shows(30)
    expect(await service.stop()).toBe(143)
    expect([...new Set(service.visible())].toSorted()).toEqual(service.posted)
    expect(service.visible()).toHaveLength(30)
    expect(namesIn(service.path('out'))).toEqual(expect.arrayContaining(before.filter((name) => !name.startsWith('.'))))
  })

  test('of the store alone decides again what was decided: records come twice', async () => {
    service.post(10)
    service.start()
    await service.shows(10)
    await service.stop()
    cpSync(service.path('.sluice'), service.path('older'), { recursive: true })
    service.start()
    for (const count of [20, 30]) {
      service.post(10)
      await service.shows(count)
    }
    await service.stop()
    expect(service.visible()).toEqual(service.posted)
    rmSync(service.path('.sluice'), { recursive: true })
    renameSync(service.path('older'), service.path('.sluice'))
    service.start()
    await until(() => new Set(service.visible()).size < service.visible().length, 'what comes twice', DEADLINE_MS)
    await service.stop()
  })
})

test('a deployment stops, looks at the plan and starts, and the job goes on', async () => {
  service.post(10)
  service.start()
  await service.shows(10)
  service.post(10)
  await service.run('deploy.sh')
  await service.shows(20)
  await service.stop()
  expect(service.visible()).toEqual(service.posted)
  expect(readFileSync(service.path('plan.txt'), 'utf8')).toMatch(/running-total/)
  await service.run('look.sh')
})

test('a job that failed goes on when the cause is mended', async () => {
  service.post(10)
  const first = service.start()
  await service.shows(10)
  appendFileSync(service.path('data/a.ndjson'), 'oh no\n')
  expect(await first.ended).toMatchObject({ code: 1, out: expect.stringContaining('FAILED') })
  const text = readFileSync(service.path('data/a.ndjson'), 'utf8')
  writeFileSync(service.path('data/a.ndjson'), text.replace('oh no\n', ''))
  service.post(10)
  service.start()
  await service.shows(20)
  await service.stop()
  expect(service.visible()).toEqual(service.posted)
})

interface Retained {
  readonly checkpoint: number
  readonly inline: {
    readonly operators: readonly { readonly state?: { readonly blobs: readonly { readonly key: string }[] } }[]
  }
}

function retained(): readonly Retained[] {
  const newest = namesIn(service.path('.sluice/orders/log')).toSorted().at(-1) ?? ''
  const [, body = ''] = readFileSync(service.path('.sluice/orders/log', newest), 'utf8').split('\n')
  return (JSON.parse(body) as { readonly retained: readonly Retained[] }).retained
}

function blobsOf({ inline }: Retained): readonly string[] {
  return inline.operators.flatMap(({ state }) => state?.blobs.map(({ key }) => key) ?? [])
}

test('a damaged checkpoint is refused by name; the file brought back is right, and so is an older checkpoint, with repeats', async () => {
  service.post(10)
  service.start()
  await service.shows(10)
  service.post(10)
  await service.shows(20)
  await service.kill()
  const all = retained()
  const newest = all.at(-1)
  const key = newest === undefined ? undefined : blobsOf(newest).at(-1)
  const older = all.findLast((one) => key !== undefined && !blobsOf(one).includes(key))
  if (key === undefined || older === undefined) throw new Error('two checkpoints of different state are retained')
  const file = service.path('.sluice', key)
  const sound = readFileSync(file)
  writeFileSync(file, sound.subarray(1))
  await expect(service.run('verify.sh')).rejects.toThrow(/Command failed/)
  expect(await service.start().ended).toMatchObject({ code: 2, out: expect.stringContaining(key) })
  writeFileSync(file, sound)
  await service.run('verify.sh')
  service.post(10)
  service.start()
  await service.shows(30)
  await service.kill()
  expect(service.visible()).toEqual(service.posted)

  const last = retained().at(-1)
  if (last === undefined) throw new Error('a checkpoint is retained')
  const before = retained().at(0)?.checkpoint
  writeFileSync(service.path('.sluice', blobsOf(last).at(-1) ?? ''), '')
  expect((await service.start().ended).code).toBe(2)
  const run = service.byHand('older.sh', { CHECKPOINT: String(before) })
  await run.says('running')
  service.post(10)
  await until(() => service.visible().includes('c-39'), 'what came since', DEADLINE_MS)
  expect(await service.stop()).toBe(143)
  expect(new Set(service.visible()).size).toBe(40)
})

test('a lost commit is said again at each start, and accepted once', async () => {
  service.post(10)
  const strikes = [{ match: 'rename out/part', nth: 1, moment: 'before', how: 'KILL' }]
  const preload = ['--import', join(ROOT, 'test/kills/effects-preload.mjs')]
  await service.start(preload, { SLUICE_STRIKES: JSON.stringify(strikes), SLUICE_CLOCK: '[]' }).ended
  for (const name of namesIn(service.path('out'))) rmSync(service.path('out', name))
  const said = await service.start().ended
  expect(said.code).toBe(1)
  const checkpoint = /--accept-loss (\d+)/.exec(said.out)?.[1]
  expect((await service.start().ended).out).toContain(`--accept-loss ${checkpoint}`)
  service.byHand('accept-loss.sh', { CHECKPOINT: checkpoint })
  service.post(5)
  await service.shows(5)
  expect(await service.stop()).toBe(143)
  service.start()
  service.post(5)
  await service.shows(10)
  await service.stop()
  expect(service.visible()).toEqual(Array.from({ length: 10 }, (_, index) => `c-${index + 10}`))
})

test('a run that is taken over ends with 3, and the new one goes on', async () => {
  service.post(10)
  const old = service.start()
  await service.shows(10)
  const taken = service.byHand('take-over.sh')
  await taken.says('running')
  expect((await old.ended).code).toBe(3)
  service.post(10)
  await service.shows(20)
  expect(await service.stop()).toBe(143)
  expect(service.visible()).toEqual(service.posted)
})
