/** What a person may decide about the past of a job, through the real command on real files: going back, losing, dropping. */
import { readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace } from './command.ts'

const JOB = fileURLToPath(new URL('history.job.ts', import.meta.url))
const COUNT = 150
const SLOW = ['--set', 'pace=10']
const FAST = ['--set', 'pace=0']

interface Line {
  readonly n: number
  readonly seen?: number
  readonly sum?: number
}
interface Status {
  readonly lineage: string
  readonly state: string
  readonly generation: number
  readonly committedThrough: number
  readonly due: readonly unknown[]
  readonly lastCompleted: {
    readonly checkpoint: number
    readonly sourcePositions: readonly { readonly position: { readonly byte: number } }[]
  }
  readonly failure?: string
}

class History extends Workplace {
  constructor() {
    super()
    this.write('in/a.ndjson', Array.from({ length: COUNT }, (_, n) => `{"n":${n}}\n`).join(''))
  }

  /** Slowly, until checkpoint `until` has completed and one that holds records, and a little further; then stopped, or killed. */
  async runUntil(until: number, signal: 'SIGTERM' | 'SIGKILL', ...flags: readonly string[]): Promise<Status> {
    const run = this.start('run', JOB, ...SLOW, '--json', ...flags)
    await run.says(`"completed","checkpoint":${until},`)
    await run.says(/"completed",.*"byte":[1-9]/)
    run.child.kill(signal)
    const { code, err } = await run.ended
    if (code !== (signal === 'SIGTERM' ? 143 : null)) throw new Error(`it ended with ${code}: ${err}`)
    return this.status()
  }

  async status(): Promise<Status> {
    const { out, err } = await this.sluice('status', 'history', '--json')
    if (err !== '') throw new Error(err)
    return JSON.parse(out) as Status
  }

  /** Visible, by lineage, in order. */
  lines(lineage: string): readonly Line[] {
    const names = readdirSync(join(this.directory, 'out')).filter(
      (name) => !name.startsWith('.') && name.includes(lineage),
    )
    return names.toSorted().flatMap((name) =>
      readFileSync(join(this.directory, 'out', name), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line),
    )
  }

  hidden(): readonly string[] {
    return readdirSync(join(this.directory, 'out')).filter((name) => name.startsWith('.'))
  }

  newestLogEntry(): string {
    const log = join(this.directory, '.sluice/history/log')
    return readFileSync(join(log, readdirSync(log).toSorted().at(-1) ?? ''), 'utf8')
  }
}

/** What the job writes for records `from` … `to - 1` when its state saw all from `stateFrom` on. */
function expected(from: number, to: number, stateFrom = 0): readonly Line[] {
  return Array.from({ length: to - from }, (_, index) => {
    const n = from + index
    const sum = ((n + stateFrom) * (n - stateFrom + 1)) / 2
    return { n, seen: n - stateFrom + 1, sum }
  })
}

test('killed as soon as it starts, again and again, while files appear before and behind: none is skipped or repeated (F32)', async () => {
  using place = new History()
  place.write('in/m.ndjson', '{"n":1000}\n')
  let restored = 0
  for (let times = 0; times < 6; times += 1) {
    const run = place.start('run', JOB, ...SLOW, '--json')
    await run.says(times % 2 === 0 ? '"running"' : '"completed"')
    run.child.kill('SIGKILL')
    const { out } = await run.ended
    if (!out.includes('"restored":null')) restored += 1
    place.write(`in/${times % 2 === 0 ? '0' : 'z'}${times}.ndjson`, `{"n":${2000 + times}}\n`)
  }
  expect((await place.sluice('run', JOB, ...FAST)).code).toBe(0)
  const { lineage } = await place.status()
  const lines = place.lines(lineage)
  const all = [...Array(COUNT).keys(), 1000, 2000, 2001, 2002, 2003, 2004, 2005]
  expect(lines.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(all)
  expect(lines.map(({ seen }) => seen)).toEqual(all.map((_, index) => index + 1))
  expect(restored).toBeGreaterThan(0)
})

test('--restore of an older checkpoint starts a new lineage there, and the old output stays', async () => {
  using place = new History()
  const before = await place.runUntil(6, 'SIGTERM')
  const written = place.lines(before.lineage)
  expect(written).toEqual(expected(0, written.length))
  expect(written.length).toBeGreaterThan(2)
  expect(written.length).toBeLessThan(COUNT)

  const refused = await place.sluice('run', JOB, '--restore', '3')
  expect(refused.code).toBe(2)
  expect(refused.err).toMatch(/--restore 3 goes back behind checkpoint \d+: .*Say --accept-duplicates/)
  expect(await place.status()).toEqual(before)

  const back = await place.sluice('run', JOB, ...FAST, '--restore', '3', '--accept-duplicates', '--json')
  expect(back.code).toBe(0)
  expect(back.out).toMatch(/"event":"running","generation":2,"restored":3/)
  const after = await place.status()
  expect(after.lineage).not.toBe(before.lineage)
  const again = place.lines(after.lineage)
  const from = again[0]?.n ?? -1
  expect(from).toBeGreaterThanOrEqual(0)
  expect(from).toBeLessThan(written.length)
  expect(again).toEqual(expected(from, COUNT))
  expect(place.lines(before.lineage)).toEqual(written)
  expect(place.hidden()).toEqual([])
})

test('--restore of the newest checkpoint, by number or as latest, is no rollback', async () => {
  using place = new History()
  const before = await place.runUntil(3, 'SIGTERM')
  const newest = String(before.lastCompleted.checkpoint)
  const byNumber = place.start('run', JOB, ...SLOW, '--restore', newest, '--json')
  await byNumber.says(`"restored":${newest}`)
  await byNumber.says('"completed"')
  byNumber.child.kill('SIGTERM')
  expect((await byNumber.ended).code).toBe(143)
  expect((await place.status()).lineage).toBe(before.lineage)
  expect((await place.sluice('run', JOB, ...FAST, '--restore', 'latest')).code).toBe(0)
  expect(place.lines(before.lineage)).toEqual(expected(0, COUNT))
})

test('a checkpoint that is not there is refused, and those that are there are named', async () => {
  using place = new History()
  await place.runUntil(3, 'SIGTERM')
  const refused = await place.sluice('run', JOB, '--restore', '999', '--accept-duplicates')
  expect(refused.code).toBe(2)
  expect(refused.err).toMatch(/has no checkpoint 999; retained are 1, 2, 3/)
})

test('a rollback delivers first what the old lineage had completed', async () => {
  using place = new History()
  const before = await place.runUntil(3, 'SIGKILL', '--set', 'commit=never')
  // Those before the first record hold positions only, and are committed with nothing to do.
  expect(before.committedThrough).toBeLessThan(before.lastCompleted.checkpoint)
  expect(before.due.length).toBeGreaterThan(0)
  expect(place.lines(before.lineage)).toEqual([])
  const flags = ['--set', 'commit=at-once', '--restore', 'none', '--accept-duplicates']
  expect((await place.sluice('run', JOB, ...FAST, ...flags)).code).toBe(0)
  const after = await place.status()
  expect(after).toMatchObject({ state: 'FINISHED', generation: 2 })
  const delivered = place.lines(before.lineage)
  expect(delivered.length).toBeGreaterThan(0)
  expect(delivered).toEqual(expected(0, delivered.length))
  expect(place.lines(after.lineage)).toEqual(expected(0, COUNT))
  expect(place.hidden()).toEqual([])
})

test('a lost commit fails the job until --accept-loss names its checkpoint; the log keeps that', async () => {
  using place = new History()
  const before = await place.runUntil(3, 'SIGKILL', '--set', 'commit=never')
  const parts = place.hidden().filter((name) => name.endsWith('.part'))
  const lost = parts.toSorted()[0]?.replace(/\.part$/, '') ?? ''
  const lines = readFileSync(join(place.directory, 'out', `${lost}.part`), 'utf8')
    .trimEnd()
    .split('\n').length
  for (const end of ['part', 'keep']) unlinkSync(join(place.directory, 'out', `${lost}.${end}`))

  const flags = [...FAST, '--set', 'commit=at-once']
  for (let times = 0; times < 2; times += 1) {
    const failed = await place.sluice('run', JOB, ...flags)
    expect(failed.code).toBe(1)
    expect(failed.err).toMatch(/FAILED: .*"out".*checkpoint \d+.*--accept-loss \d+/s)
  }
  const status = await place.status()
  expect(status.state).toBe('FAILED')
  expect(status.failure).toMatch(/--accept-loss/)
  const checkpoint = /--accept-loss (\d+)/.exec(status.failure ?? '')?.[1] ?? ''
  const other = await place.sluice('run', JOB, ...flags, '--accept-loss', '99')
  expect(other).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--accept-loss 99: no commit of that checkpoint is due/),
  })

  expect((await place.sluice('run', JOB, ...flags, '--accept-loss', checkpoint)).code).toBe(0)
  expect(await place.status()).toMatchObject({ state: 'FINISHED', lineage: before.lineage })
  expect(place.newestLogEntry()).toContain(`"acceptedLosses":[${checkpoint}]`)
  expect(place.lines(before.lineage)).toEqual(expected(lines, COUNT))
})

test('an operator that is gone is refused until --drop names it; all else goes on', async () => {
  using place = new History()
  const before = await place.runUntil(3, 'SIGTERM')
  const written = place.lines(before.lineage).length
  const flags = [...FAST, '--set', 'shape=without']
  const refused = await place.sluice('run', JOB, ...flags)
  expect(refused.code).toBe(2)
  expect(refused.err).toMatch(/operator "count" is gone, but the checkpoint holds its state: .*--drop count/)
  expect((await place.sluice('run', JOB, ...flags, '--drop', 'cuont')).code).toBe(2)
  expect(await place.status()).toEqual(before)
  expect((await place.sluice('run', JOB, ...flags, '--drop', 'count')).code).toBe(0)
  const lines = place.lines(before.lineage)
  expect(lines.map(({ n }) => n)).toEqual(Array.from({ length: COUNT }, (_, n) => n))
  expect(lines.slice(written).every((line) => line.seen === undefined)).toBe(true)
})

test('a state that is gone is refused until --drop gives up the state of its operator', async () => {
  using place = new History()
  const before = await place.runUntil(3, 'SIGTERM')
  const written = place.lines(before.lineage).length
  const flags = [...FAST, '--set', 'shape=seen']
  const refused = await place.sluice('run', JOB, ...flags)
  expect(refused.code).toBe(2)
  expect(refused.err).toMatch(/state "sum" of operator "count" is gone: bring it back, or .*--drop count/)
  expect((await place.sluice('run', JOB, ...flags, '--drop', 'count')).code).toBe(0)
  const rest = place.lines(before.lineage).slice(written)
  expect(rest).toEqual(expected(written, COUNT, written).map(({ n, seen }) => ({ n, seen })))
})

test('a setting that is given otherwise than in the last run is shown with both values', async () => {
  using history = new History()
  await history.runUntil(2, 'SIGKILL')
  const { code, err } = await history.sluice('run', JOB, ...FAST)
  expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^setting pace is "0", it was "10"\n/) })
})
