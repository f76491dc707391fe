/** Savepoints through the real command on real files: copied from a running job, restored by a fork beside it, by the job itself, elsewhere. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace, type Running } from './command.ts'

const JOB = fileURLToPath(new URL('history.job.ts', import.meta.url))
const COUNT = 150
const SLOW = ['--set', 'pace=10']
const FAST = ['--set', 'pace=0']
const FORK = { env: { ...process.env, HISTORY_ID: 'fork' } }

interface Line {
  readonly n: number
  readonly seen: number
  readonly sum: number
}

class Place extends Workplace {
  constructor() {
    super()
    this.write('in/a.ndjson', Array.from({ length: COUNT }, (_, n) => `{"n":${n}}\n`).join(''))
  }

  /** Visible in files whose names hold `text`, in order. */
  lines(text: string): readonly Line[] {
    const names = readdirSync(join(this.directory, 'out')).filter(
      (name) => !name.startsWith('.') && name.includes(text),
    )
    return names.toSorted().flatMap((name) =>
      readFileSync(join(this.directory, 'out', name), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line),
    )
  }

  async stoppedAfter(checkpoint: number, ...flags: readonly string[]): Promise<void> {
    const run = this.start('run', JOB, ...SLOW, '--json', ...flags)
    await run.says(`"completed","checkpoint":${checkpoint},`)
    run.child.kill('SIGTERM')
    const { code, err } = await run.ended
    if (code !== 143) throw new Error(`it ended with ${code}: ${err}`)
  }

  async lineage(job: string): Promise<string> {
    return (JSON.parse((await this.sluice('status', job, '--json')).out) as { readonly lineage: string }).lineage
  }
}

/** What one run writes for records from `from` on. */
function expected(from: number): readonly Line[] {
  return Array.from({ length: COUNT - from }, (_, index) => {
    const n = from + index
    return { n, seen: n + 1, sum: (n * (n + 1)) / 2 }
  })
}

test('a savepoint of a running job is restored under another id beside it: both end exact, neither touches the other', async () => {
  using place = new Place()
  const parent = place.start('run', JOB, ...SLOW, '--json')
  await parent.says('"completed","checkpoint":4,')
  const copied = await place.sluice('checkpoints', 'copy', 'history', '--to', 'saved/one', '--json')
  expect(copied.code).toBe(0)
  expect(JSON.parse(copied.out)).toEqual({
    job: 'history',
    savepoint: {
      uri: expect.stringMatching(/^file:.*saved\/one$/),
      checkpoint: expect.any(Number),
      at: expect.stringMatching(/^20.*Z$/),
      sizeBytes: expect.any(Number),
      openSinks: [],
    },
  })
  // The same store, the same output directory, at the same time.
  const fork = place.startAs(FORK, 'run', JOB, ...SLOW, '--restore', 'saved/one', '--json')
  await fork.says('"running","generation":1,"restored":1}')
  await expectEnd(fork)
  await expectEnd(parent)
  expect((await place.sluice('checkpoints', 'verify', 'fork', '--all')).code).toBe(0)
  expect(place.lines(await place.lineage('history'))).toEqual(expected(0))
  const forked = place.lines(await place.lineage('fork'))
  const from = forked[0]?.n ?? 0
  expect(from).toBeGreaterThan(0)
  expect(forked).toEqual(expected(from))
  expect(readdirSync(join(place.directory, 'out')).filter((name) => name.startsWith('.'))).toEqual([])
})

async function expectEnd(run: Running): Promise<void> {
  const { code, err } = await run.ended
  expect({ code, err }).toMatchObject({ code: 0 })
}

test('trigger --savepoint takes a checkpoint of the running job and copies it; a place that is taken is refused before', async () => {
  using place = new Place()
  const parent = place.start('run', JOB, ...SLOW, '--json')
  await parent.says('"completed","checkpoint":3,')
  const triggered = await place.sluice('checkpoints', 'trigger', 'history', '--savepoint', 'saved', '--json')
  expect(triggered).toMatchObject({ code: 0, err: '' })
  const { checkpoint, savepoint } = JSON.parse(triggered.out) as Triggered
  expect(checkpoint).toBeGreaterThan(3)
  expect(savepoint.checkpoint).toBeGreaterThanOrEqual(checkpoint)
  expect((await place.sluice('checkpoints', 'verify', './saved')).code).toBe(0)
  const taken = await place.sluice('checkpoints', 'trigger', 'history', '--savepoint', 'saved')
  expect(taken).toMatchObject({ code: 2, err: expect.stringMatching(/SLUICE_SAVEPOINT_EXISTS/) })
  const fork = await place.startAs(FORK, 'run', JOB, ...FAST, '--restore', './saved').ended
  expect(fork.code).toBe(0)
  await expectEnd(parent)
  const forked = place.lines(await place.lineage('fork'))
  expect(forked).toEqual(expected(forked[0]?.n ?? 0))
  expect(place.lines(await place.lineage('history'))).toEqual(expected(0))
})

interface Triggered {
  readonly checkpoint: number
  readonly savepoint: { readonly checkpoint: number }
}

test('a fork that was killed before it came to its savepoint is refused until it is said again (exit 2)', async () => {
  using place = new Place()
  await place.stoppedAfter(4)
  expect((await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved')).code).toBe(0)
  const fork = await place.startAs(FORK, 'run', JOB, ...FAST, '--restore', 'saved').ended
  expect(fork.code).toBe(0)
  const log = join(place.directory, '.sluice/fork/log')
  const [started = ''] = readdirSync(log).toSorted()
  expect(JSON.parse(readFileSync(join(log, started), 'utf8').split('\n')[1] ?? '')).toMatchObject({
    kind: 'started',
    restoring: { kind: 'savepoint', uri: expect.stringMatching(/saved$/) },
  })
  // As a crash behind the first entry would have left it.
  for (const name of readdirSync(log).toSorted().slice(1)) renameSync(join(log, name), join(place.directory, name))
  const refused = await place.startAs(FORK, 'run', JOB, ...FAST, '--json').ended
  expect(refused.code).toBe(2)
  expect(JSON.parse(refused.out.trim().split('\n').at(-1) ?? '')).toMatchObject({
    event: 'refused',
    code: 'SLUICE_RESTORE_PENDING',
    error: expect.stringMatching(
      /was last run with --restore file:.*saved and ended before that was done; say it again, or begin anew/,
    ),
  })
})

test('the job itself goes back to a savepoint: what is repeated is said, first as a refusal, then at the start', async () => {
  using place = new Place()
  await place.stoppedAfter(3)
  expect((await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved')).code).toBe(0)
  await place.stoppedAfter(8)
  const old = await place.lineage('history')
  const before = place.lines(old)
  const refused = await place.sluice('run', JOB, ...FAST, '--restore', 'saved')
  expect(refused.code).toBe(2)
  const repeats = new RegExp(
    [
      String.raw`goes back behind checkpoint \d+: what was read since checkpoint \d+ of 20.*Z, until 20.*Z at least, is read again `,
      String.raw`\(records in/a\.ndjson from \{"byte":\d+.*\} to \{"byte":\d+.*\}\); `,
      String.raw`what sink "out" \(exactly-once\) made visible since then is written a second time`,
    ].join(''),
  )
  expect(refused.err).toMatch(repeats)
  expect(refused.err).toMatch(/Say --accept-duplicates to accept that \[SLUICE_DUPLICATES_NOT_ACCEPTED\]\n$/)
  // Wherever it was moved to.
  renameSync(join(place.directory, 'saved'), join(place.directory, 'elsewhere'))
  const back = await place.sluice('run', JOB, ...FAST, '--restore', './elsewhere', '--accept-duplicates')
  expect(back.code).toBe(0)
  expect(back.err).toMatch(repeats)
  const lineage = await place.lineage('history')
  expect(lineage).not.toBe(old)
  const again = place.lines(lineage)
  expect(again[0]?.n).toBeLessThan(before.length)
  expect(again).toEqual(expected(again[0]?.n ?? 0))
  expect(place.lines(old)).toEqual(before)
})

test('a damaged savepoint, one that is half there, and a place without one are refused by name, and nothing is written', async () => {
  using place = new Place()
  await place.stoppedAfter(4)
  expect((await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved')).code).toBe(0)
  const blobs = join(place.directory, 'saved/blob')
  for (const blob of readdirSync(blobs)) {
    const sound = readFileSync(join(blobs, blob))
    writeFileSync(join(blobs, blob), sound.subarray(1))
    const run = await place.sluice('run', JOB, '--store', 'new', '--restore', 'saved')
    expect(run.code).toBe(2)
    expect(run.err).toMatch(
      new RegExp(`blob/${blob} in file:.*saved has \\d+ bytes, \\d+ were written; .*SLUICE_SAVEPOINT_DAMAGED`),
    )
    writeFileSync(join(blobs, blob), sound)
  }
  renameSync(join(place.directory, 'saved/savepoint'), join(place.directory, 'description'))
  const half = await place.sluice('run', JOB, '--store', 'new', '--restore', 'saved')
  expect(half).toMatchObject({
    code: 2,
    err: expect.stringMatching(/there is no savepoint in file:.*saved.*SLUICE_SAVEPOINT_MISSING/),
  })
  const none = await place.sluice('run', JOB, '--store', 'new', '--restore', 'lastest')
  expect(none).toMatchObject({
    code: 2,
    err: expect.stringMatching(/there is no savepoint at lastest .*latest or none/),
  })
  expect(readdirSync(join(place.directory, 'new'))).toEqual([])
  const taken = await place.sluice('checkpoints', 'copy', JOB, '--to', '.sluice')
  expect(taken).toMatchObject({ code: 2, err: expect.stringMatching(/is the store of the job itself/) })
})

test('a sink that keeps its output open is told of when copied, and asked about when restored', async () => {
  using place = new Place()
  await place.stoppedAfter(4, '--set', 'rolling=when-full')
  const copied = await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved')
  expect(copied).toMatchObject({ code: 0, out: expect.stringMatching(/sink "out" has output open .* --drop out\n$/) })
  const refused = await place.startAs(FORK, 'run', JOB, ...FAST, '--restore', 'saved').ended
  expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/SLUICE_SAVEPOINT_OPEN_OUTPUT/) })
  const fork = await place.startAs(FORK, 'run', JOB, ...FAST, '--restore', 'saved', '--drop', 'out').ended
  expect(fork.code).toBe(0)
  // The parent's open output is still its own.
  expect((await place.sluice('run', JOB, ...FAST)).code).toBe(0)
  expect(place.lines(await place.lineage('history'))).toEqual(expected(0))
  const forked = place.lines(await place.lineage('fork'))
  expect(forked).toEqual(expected(forked[0]?.n ?? 0))
})

test('without a loss: a sink that closes its output at each checkpoint for a while leaves nothing outside', async () => {
  using place = new Place()
  await place.stoppedAfter(4, '--set', 'rolling=when-full')
  await place.stoppedAfter(8, '--set', 'rolling=each-checkpoint')
  const copied = await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved', '--json')
  expect(JSON.parse(copied.out)).toMatchObject({ savepoint: { openSinks: [] } })
  const visible = place.lines(await place.lineage('history')).length
  const fork = await place.startAs(FORK, 'run', JOB, ...FAST, '--restore', 'saved').ended
  expect(fork.code).toBe(0)
  const forked = place.lines(await place.lineage('fork'))
  expect(forked).toEqual(expected(visible))
})

test('a job whose newest checkpoint is damaged goes on from a savepoint, in workers too; what cannot be read is said', async () => {
  using place = new Place()
  await place.stoppedAfter(4)
  expect((await place.sluice('checkpoints', 'copy', JOB, '--to', 'saved')).code).toBe(0)
  await place.stoppedAfter(8)
  const blobs = join(place.directory, '.sluice/history/blob')
  for (const name of readdirSync(blobs, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) writeFileSync(join(name.parentPath, name.name), '')
  }
  const refused = await place.sluice('run', JOB, ...FAST)
  expect(refused).toMatchObject({
    code: 2,
    err: expect.stringMatching(/cannot be restored: .*SLUICE_CHECKPOINT_CORRUPT/),
  })
  const old = await place.lineage('history')
  const before = place.lines(old).length
  const flags = ['--restore', 'saved', '--accept-duplicates', '--workers', '2', '--parallelism', '2']
  const back = await place.sluice('run', JOB, ...FAST, ...flags)
  expect(back).toMatchObject({ code: 0, err: expect.stringMatching(/goes back behind checkpoint \d+: /) })
  const again = place.lines(await place.lineage('history')).toSorted((a, b) => a.n - b.n)
  expect(again[0]?.n).toBeLessThan(before)
  expect(again).toEqual(expected(again[0]?.n ?? 0))
})
