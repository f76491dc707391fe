/**
 * Quickstart, tried on NDJSON of our own making: kills the job at random moments, starts it again, and counts after each death and at the
 * end what a consumer would see, without the engine.
 *
 *   npm run example -- quickstart [--count 5000000] [--kills 3] [--within 500]
 */
import { spawn } from 'node:child_process'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const COMMAND = fileURLToPath(new URL('../../bin/sluice.mjs', import.meta.url))
const JOB = fileURLToPath(new URL('job.ts', import.meta.url))
const NAMES = 10_000
const STEP = 7_919
const LINES_AT_ONCE = 1_000

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '5000000' },
    kills: { type: 'string', default: '3' },
    within: { type: 'string', default: '500' },
  },
})
const count = Number(values.count)
const directory = await mkdtemp(join(tmpdir(), 'sluice-quickstart-'))
const problem = await tryIt()
if (problem === undefined) await rm(directory, { recursive: true })
else console.error(`WRONG  ${problem}\neverything is left in ${directory}`)
process.exitCode = problem === undefined ? 0 : 1

/** What is wrong; undefined: nothing. */
async function tryIt(): Promise<string | undefined> {
  await mkdir(join(directory, 'data'))
  await pipeline(Readable.from(input()), createWriteStream(join(directory, 'data/a.ndjson')))
  for (let kill = 1; kill <= Number(values.kills); kill += 1) {
    // The first one before any record is confirmed; the later ones behind one that confirms some (the first only confirms the start).
    const { code, errors } = await run({ completed: kill === 1 ? 0 : 2, ms: Math.random() * Number(values.within) })
    if (code !== null)
      return `run ${kill} ended with code ${code} before it was killed; with a larger --count it lives longer\n${errors}`
    const lines = await checkVisible()
    if (typeof lines === 'string') return lines
    console.log(`killed: ${lines} of ${count} counts visible, none twice, none wrong`)
  }
  const { code, errors } = await run()
  if (code !== 0) return `the last run ended with code ${code}\n${errors}`
  const lines = await checkVisible()
  if (typeof lines === 'string') return lines
  if (lines !== count) return `${lines} counts are visible, there were ${count} records`
  console.log(`finished after ${values.kills} kills: ${lines} counts, each exactly once, in order`)
  return undefined
}

function nameAt(index: number): string {
  return `n-${(index * STEP) % NAMES}`
}

function* input(): Generator<string> {
  for (let from = 0; from < count; from += LINES_AT_ONCE) {
    const length = Math.min(LINES_AT_ONCE, count - from)
    yield Array.from({ length }, (_, index) => `{"name":"${nameAt(from + index)}"}\n`).join('')
  }
}

interface Kill {
  /** Checkpoints that the run completes before. */
  readonly completed: number
  /** And then so many milliseconds. */
  readonly ms: number
}

/** `code` is null when it was killed. */
async function run(kill?: Kill): Promise<{ readonly code: number | null; readonly errors: string }> {
  const settings = ['--set', 'input=data/*.ndjson', '--set', 'field=name', '--set', 'output=out']
  const child = spawn(process.execPath, [COMMAND, 'run', JOB, '--json', ...settings], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()))
  let completed = 0
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { event } = JSON.parse(line) as { readonly event: string }
    if (event === 'completed') completed += 1
    const isDue = (event === 'running' || event === 'completed') && completed === kill?.completed
    if (isDue) setTimeout(() => child.kill('SIGKILL'), kill.ms)
    if (event === 'refused' || event === 'broken-off' || event === 'ended') errors += `${line}\n`
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, errors }))
  })
}

/** How many lines are visible, or the first that is not what it should be. Names in order are the order of the records. */
async function checkVisible(): Promise<number | string> {
  const names = await readdir(join(directory, 'out')).catch(() => [])
  const seen = new Map<string, number>()
  let at = 0
  for (const name of names.filter((one) => !one.startsWith('.')).toSorted()) {
    for await (const line of createInterface({ input: createReadStream(join(directory, 'out', name)) })) {
      const value = nameAt(at)
      const times = (seen.get(value) ?? 0) + 1
      if (line !== `{"value":"${value}","count":${times}}`) return `${name}: record ${at} became ${line}`
      seen.set(value, times)
      at += 1
    }
  }
  return at
}
