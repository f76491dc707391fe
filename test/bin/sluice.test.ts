/** The `sluice` command as a person meets it: from a checkout, without a build. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, cpSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** A package of our shape, so that the command is tested without what it starts. */
let root = ''
/** Outside of that package: its directory has nothing to do with ours. */
let elsewhere = ''

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-bin-'))
  elsewhere = mkdtempSync(join(tmpdir(), 'sluice-job-'))
  cpSync('bin', join(root, 'bin'), { recursive: true })
  cpSync('package.json', join(root, 'package.json'))
})
afterEach(() => {
  for (const directory of [root, elsewhere]) rmSync(directory, { recursive: true, force: true })
})

const report = `
export async function main(argv) {
  const { engine } = await import('sluice')
  const job = await import(argv[0])
  console.log(JSON.stringify({ argv, engine, job: job.engine }))
  return 7
}`

test('a checkout runs the sources, and a job anywhere on the disk shares their engine', () => {
  write('cli/main.ts', `${report}\nconst typed: number = 1\nvoid typed`)
  write('engine/index.ts', `export const engine: string = 'source'`)
  write('dist/engine/index.js', `export const engine = 'dist'`)
  const job = jobElsewhere()
  const { status, stdout, stderr } = sluice([job, '--flag'])
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual({ argv: [job, '--flag'], engine: 'source', job: 'source' })
  expect(status).toBe(7)
})

test('an installed package runs dist/, and a job shares its engine', () => {
  write('dist/cli/main.js', report)
  write('dist/engine/index.js', `export const engine = 'dist'`)
  const { status, stdout } = sluice([jobElsewhere()])
  expect(JSON.parse(stdout)).toMatchObject({ engine: 'dist', job: 'dist' })
  expect(status).toBe(7)
})

test('the command can be started through a link, as npm does', () => {
  write('dist/cli/main.js', report)
  write('dist/engine/index.js', `export const engine = 'dist'`)
  const link = join(root, 'linked-sluice')
  symlinkSync('bin/sluice.mjs', link)
  expect(spawnSync(process.execPath, [link, jobElsewhere()], { encoding: 'utf8' }).status).toBe(7)
})

test('an older Node is refused with what to do, before anything is loaded', () => {
  write('cli/main.ts', `throw new Error('loaded')`)
  const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`
  const { status, stderr } = sluice([], [`--import=data:text/javascript,${encodeURIComponent(older)}`])
  expect(stderr).toMatch(
    /^sluice: sluice needs Node\.js 24 or newer; this is v\S+ \(.*\): run `npm ci` in the checkout, .* \[SLUICE_NODE_TOO_OLD\]\n$/,
  )
  expect(status).toBe(2)
  const asked = sluice(['--json'], [`--import=data:text/javascript,${encodeURIComponent(older)}`])
  expect(asked.status).toBe(2)
  expect(JSON.parse(asked.stdout)).toMatchObject({ event: 'refused', exitCode: 2, code: 'SLUICE_NODE_TOO_OLD' })
})

describe('with a Node of its own, a checkout started by an older one', () => {
  const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`
  const olderNode = [`--import=data:text/javascript,${encodeURIComponent(older)}`]

  beforeEach(() => {
    mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
    symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'))
  })

  test('goes on in that one, with the same arguments, streams and code', () => {
    write('cli/main.ts', report)
    write('engine/index.ts', `export const engine: string = 'source'`)
    const job = jobElsewhere()
    const { status, stdout, stderr } = sluice([job, '--flag'], olderNode)
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({ argv: [job, '--flag'], engine: 'source' })
    expect(status).toBe(7)
  })

  test.each([
    ['SIGTERM', 9],
    ['SIGINT', 9],
    ['SIGKILL', null],
  ] as const)('ends with it by %s, and nothing is left running', async (signal, code) => {
    write(
      'cli/main.ts',
      `export async function main() {
  for (const one of ['SIGTERM', 'SIGINT']) process.once(one, () => process.exit(9))
  console.log(process.pid)
  await new Promise((resolve) => setTimeout(resolve, 60_000))
}`,
    )
    const child = spawn(process.execPath, [...olderNode, join(root, 'bin/sluice.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [pid] = (await once(child.stdout, 'data')) as [Buffer]
    child.kill(signal)
    // Only when both are gone does the stream end.
    const [[ended]] = await Promise.all([once(child, 'exit'), once(child.stdout, 'close')])
    expect(ended).toBe(code)
    await expect.poll(() => isRunning(Number(pid.toString())), { timeout: 5_000 }).toBe(false)
  })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('the command ends with the code of main, whatever is still open', () => {
  write('cli/main.ts', `export async function main() { setInterval(() => {}, 1_000); return 3 }`)
  expect(sluice([]).status).toBe(3)
})

function sluice(argv: readonly string[], node: readonly string[] = []) {
  return spawnSync(process.execPath, [...node, join(root, 'bin/sluice.mjs'), ...argv], {
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
}

function jobElsewhere(): string {
  const job = join(elsewhere, 'job.mjs')
  writeFileSync(job, `export { engine } from 'sluice'`)
  return pathToFileURL(job).href
}

function write(file: string, text: string): void {
  mkdirSync(join(root, file, '..'), { recursive: true })
  writeFileSync(join(root, file), text)
}
