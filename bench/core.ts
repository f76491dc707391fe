/**
 * `npm run bench -- core [--quick]`: the engine against bare loops doing the same, each side in a fresh process, in one run, in A B B A
 * order; medians. Absolute figures mean little on a shared machine; the ratios are the result. Shapes: see docs/performance.md.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync, closeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SideOptions, SideResult } from './core/sides.ts'

const SIDES = fileURLToPath(new URL('core/sides.ts', import.meta.url))
const BIN = fileURLToPath(new URL('../bin/sluice.mjs', import.meta.url))
const QUICKSTART = fileURLToPath(new URL('../examples/quickstart/job.ts', import.meta.url))
const quick = process.argv.includes('--quick')
const PAIRS = quick ? 1 : 5
const CHAIN_RECORDS = quick ? 2_000_000 : 10_000_000
const FILE_RECORDS = quick ? 400_000 : 3_000_000
const KEYS = 100_000

const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-core-'))
const ratios: Record<string, number> = {}
const details: Record<string, unknown> = {}
let verified = true

try {
  const input = join(directory, 'in.ndjson')
  writeInput(input, FILE_RECORDS)
  const base: SideOptions = { records: CHAIN_RECORDS, keys: KEYS, input, intervalMs: 0 }
  const file = { ...base, records: FILE_RECORDS }
  compare('chain', [['chain-bare', base]], ['chain-sluice', base])
  compare(
    'file-1s',
    [
      ['file-bare-line', file],
      ['file-bare-block', file],
    ],
    ['file-sluice', { ...file, intervalMs: 1_000 }],
  )
  compare('checkpoints-1s', [['file-sluice', file]], ['file-sluice', { ...file, intervalMs: 1_000 }])
  compare('checkpoints-100ms', [['file-sluice', file]], ['file-sluice', { ...file, intervalMs: 100 }])
  details['coldStartMs'] = await coldStartMs()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
console.log(JSON.stringify({ bench: 'core', ratios, verified, quick, ...details }))
if (!verified) process.exitCode = 1

/** Ratio of CPU time: the fastest of `rivals` over ours; 1 is level, above 1 we are ahead. */
function compare(
  name: string,
  rivals: readonly (readonly [string, SideOptions])[],
  ours: readonly [string, SideOptions],
): void {
  const results = new Map<string, SideResult[]>()
  const key = ([side, options]: readonly [string, SideOptions]): string => `${side}@${options.intervalMs}`
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const order = pair % 2 === 0 ? [...rivals, ours] : [ours, ...rivals.toReversed()]
    for (const side of order) results.set(key(side), [...(results.get(key(side)) ?? []), runSide(...side)])
  }
  const all = [...results.values()].flat()
  if (new Set(all.map((result) => result.checksum)).size !== 1) verified = false
  const cpu = (side: readonly [string, SideOptions]): number =>
    median((results.get(key(side)) ?? []).map((one) => one.cpuSeconds))
  ratios[name] = round(Math.min(...rivals.map(cpu)) / cpu(ours))
  details[name] = Object.fromEntries(
    [...results].map(([side, list]) => [
      side,
      {
        cpuSeconds: round(median(list.map((one) => one.cpuSeconds))),
        seconds: round(median(list.map((one) => one.seconds))),
        rssMb: median(list.map((one) => one.rssMb)),
      },
    ]),
  )
  console.error(name, ratios[name], JSON.stringify(details[name]))
}

function runSide(side: string, options: SideOptions): SideResult {
  const output = execFileSync(process.execPath, [SIDES, side, JSON.stringify(options)], { encoding: 'utf8' })
  return JSON.parse(output) as SideResult
}

/** Start of `sluice run` to its first visible output, medians of the pairs. */
async function coldStartMs(): Promise<number> {
  const times: number[] = []
  const input = join(directory, 'one.ndjson')
  writeInput(input, 1)
  for (let time = 0; time < PAIRS; time += 1) {
    const store = join(directory, `store-${time}`)
    const output = join(directory, `out-${time}`)
    const startedAt = performance.now()
    const child = spawn(
      process.execPath,
      [
        BIN,
        'run',
        QUICKSTART,
        '--store',
        store,
        '--set',
        `input=${input}`,
        '--set',
        'field=key',
        '--set',
        `output=${output}`,
      ],
      { stdio: 'ignore' },
    )
    const ended = new Promise((resolve) => child.once('exit', resolve))
    while (!existsSync(output) || !readdirSync(output).some((name) => name.startsWith('part-'))) {
      if (child.exitCode !== null && child.exitCode !== 0) throw new Error(`the job ended with ${child.exitCode}`)
      await new Promise((resolve) => {
        setTimeout(resolve, 1)
      })
    }
    times.push(performance.now() - startedAt)
    await ended
    if (!readFileSync(join(output, readdirSync(output)[0] ?? ''), 'utf8').includes('"count":1')) verified = false
  }
  return Math.round(median(times))
}

function writeInput(path: string, records: number): void {
  const out = openSync(path, 'w')
  let lines: string[] = []
  for (let index = 0; index < records; index += 1) {
    const pad = [3, 4, 5].map((salt) => hash(index, salt).toString(16).padStart(8, '0')).join('')
    const key = `k${String(hash(index, 1) % KEYS).padStart(7, '0')}`
    lines.push(
      `{"id":${index},"key":"${key}","amount":${hash(index, 2) % 10_000},"ts":${1_700_000_000_000 + index},"pad":"${pad}"}\n`,
    )
    if (lines.length === 10_000 || index === records - 1) {
      writeSync(out, lines.join(''))
      lines = []
    }
  }
  closeSync(out)
}

/** lowbias32 of index and salt; unsigned. */
function hash(index: number, salt: number): number {
  let x = (index + Math.imul(salt, 0x9e3779b9)) | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
