/**
 * `npm run bench -- core [--quick] [--only=<shape>,…]`: the engine against bare loops doing the same, each side in a fresh process, in one
 * run, in A B B A order; medians. Absolute figures mean little on a shared machine; the ratios are the result. What each shape is, its
 * target and what limits it: docs/performance.md.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median, rounded } from './core/figures.ts'
import { writeInput } from './core/input.ts'
import { measureRecovery } from './core/recovery.ts'
import type { SideOptions, SideResult } from './core/sides.ts'
import { buildPackage, coldStartMs, idleMb } from './core/start.ts'
import type { TouchedOptions } from './core/touched.ts'

type Side = readonly [name: string, options: SideOptions]

const SIDES = fileURLToPath(new URL('core/sides.ts', import.meta.url))
const TOUCHED = fileURLToPath(new URL('core/touched.ts', import.meta.url))
const quick = process.argv.includes('--quick')
const only = process.argv
  .find((one) => one.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')
const PAIRS = quick ? 1 : 11
const CHAIN_RECORDS = quick ? 1_000_000 : 3_000_000
const FILE_RECORDS = quick ? 400_000 : 2_000_000
const KILLS = quick ? 1 : 5
const STARTS = quick ? 3 : 11

const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-core-'))
const ratios: Record<string, number> = {}
const details: Record<string, unknown> = {}
let verified = true

const SHAPES: Readonly<Record<string, () => void | Promise<void>>> = {
  chain: () => {
    const options = { records: CHAIN_RECORDS, keys: 100_000, pool: CHAIN_RECORDS, input: '', intervalMs: 0 }
    compare('chain', PAIRS, [['chain-bare', options]], ['chain-sluice', options])
  },
  // The same strings again and again: V8 keeps the hash that its Map needs in each.
  'chain-pooled': () => {
    const options = { records: 2 * CHAIN_RECORDS, keys: 100_000, pool: CHAIN_RECORDS / 4, input: '', intervalMs: 0 }
    compare('chain-pooled', PAIRS, [['chain-bare', options]], ['chain-sluice', options])
  },
  file: () => {
    const options = fileOptions(100_000)
    const rivals: readonly Side[] = [
      ['file-bare-line', options],
      ['file-bare-block', options],
    ]
    compare('file-1s', PAIRS, rivals, ['file-sluice', { ...options, intervalMs: 1_000 }])
  },
  'checkpoints-1s': () => compareCost('checkpoints-1s', 100_000, 1_000),
  'checkpoints-100ms': () => compareCost('checkpoints-100ms', 100_000, 100),
  'checkpoints-100ms-10k': () => compareCost('checkpoints-100ms-10k', 10_000, 100),
  touched: () => {
    const options: TouchedOptions = quick
      ? { keys: 200_000, touched: 2_000, bases: 1 }
      : { keys: 1_000_000, touched: 10_000, bases: 2 }
    note('touched', JSON.parse(runFile(TOUCHED, JSON.stringify(options))) as object)
  },
  recovery: async () => {
    for (const keys of quick ? [100_000] : [100_000, 1_000_000]) {
      const recovery = await measureRecovery(join(directory, `recovery-${keys}`), keys, KILLS)
      if (!recovery.isRight) verified = false
      note(`recovery-${keys}`, recovery)
    }
  },
  start: async () => {
    const command = buildPackage(join(directory, 'package'))
    note('coldStartMs', await coldStartMs(command, join(directory, 'cold'), STARTS))
    note('idleMb', await idleMb(command, join(directory, 'idle')))
  },
}

try {
  for (const [name, measure] of Object.entries(SHAPES)) if (only?.includes(name) !== false) await measure()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
console.log(JSON.stringify({ bench: 'core', ratios, verified, quick, ...details }))
if (!verified) process.exitCode = 1

function fileOptions(keys: number): SideOptions {
  const input = join(directory, `in-${keys}.ndjson`)
  writeInput(input, FILE_RECORDS, keys)
  return { records: FILE_RECORDS, keys, pool: 0, input, intervalMs: 0 }
}

/** Checkpoints at an interval against none but the last. */
function compareCost(name: string, keys: number, intervalMs: number): void {
  const options = fileOptions(keys)
  compare(name, PAIRS, [['file-sluice', options]], ['file-sluice', { ...options, intervalMs }])
}

/** Ratio of CPU time: the fastest of `rivals` over ours; 1 is level, above 1 we are ahead. */
function compare(name: string, pairs: number, rivals: readonly Side[], ours: Side): void {
  const results = new Map<string, SideResult[]>()
  const keyOf = ([side, options]: Side): string => `${side}@${options.intervalMs}`
  for (let pair = 0; pair < pairs; pair += 1) {
    const order = pair % 2 === 0 ? [...rivals, ours] : [ours, ...rivals.toReversed()]
    for (const side of order) {
      const result = JSON.parse(runFile(SIDES, side[0], JSON.stringify(side[1]))) as SideResult
      results.set(keyOf(side), [...(results.get(keyOf(side)) ?? []), result])
    }
  }
  const all = [...results.values()].flat()
  if (new Set(all.map((result) => result.checksum)).size !== 1) verified = false
  const cpuOf = (side: Side): readonly number[] => (results.get(keyOf(side)) ?? []).map((one) => one.cpuSeconds)
  // Pair by pair: what else the machine does weighs on both sides of a pair alike.
  const pairRatios = cpuOf(ours).map((cpu, pair) => Math.min(...rivals.map((rival) => cpuOf(rival)[pair] ?? 0)) / cpu)
  ratios[name] = rounded(median(pairRatios))
  const summary = [...results].map(([side, list]) => [
    side,
    {
      cpuSeconds: rounded(median(list.map((one) => one.cpuSeconds))),
      seconds: rounded(median(list.map((one) => one.seconds))),
      rssMb: median(list.map((one) => one.rssMb)),
    },
  ])
  note(name, { ratio: ratios[name], pairs: pairRatios.map(rounded), ...Object.fromEntries(summary) })
}

function note(name: string, detail: unknown): void {
  details[name] = detail
  console.error(name, JSON.stringify(detail))
}

function runFile(file: string, ...parameters: readonly string[]): string {
  return execFileSync(process.execPath, ['--conditions=sluice-source', file, ...parameters], { encoding: 'utf8' })
}
