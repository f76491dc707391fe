/** `sluice checkpoints list`, `show`, `verify` and `diff` as a shell sees them, on checkpoints that real runs have made. */
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace } from './command.ts'

const JOB = fileURLToPath(new URL('history.job.ts', import.meta.url))

class Place extends Workplace {
  constructor() {
    super()
    this.write('in/a.ndjson', Array.from({ length: 150 }, (_, n) => `{"n":${n}}\n`).join(''))
  }

  /** Slowly until that checkpoint has completed, then stopped. */
  async stoppedAfter(checkpoint: number, ...flags: readonly string[]): Promise<void> {
    const run = this.start('run', JOB, '--set', 'pace=10', '--json', ...flags)
    await run.says(`"completed","checkpoint":${checkpoint},`)
    run.child.kill('SIGTERM')
    const { code, err } = await run.ended
    if (code !== 143) throw new Error(`it ended with ${code}: ${err}`)
  }

  async json<T>(...argv: readonly string[]): Promise<T> {
    const { code, out, err } = await this.sluice('checkpoints', ...argv, '--json')
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${err}`)
    return JSON.parse(out) as T
  }
}

interface Listed {
  readonly job: string
  readonly checkpoints: readonly { readonly checkpoint: number; readonly committed: boolean }[]
}

interface Shown {
  readonly checkpoint: number
  readonly blobs: readonly { readonly key: string }[]
}

test('list and show tell each field of a checkpoint, by id and by job file', async () => {
  using place = new Place()
  await place.stoppedAfter(5)
  const listed = await place.json<Listed>('list', 'history')
  expect(listed.job).toBe('history')
  const newest = listed.checkpoints.at(-1)
  expect(listed.checkpoints.length).toBeGreaterThan(4)
  expect(listed.checkpoints.map(({ checkpoint }) => checkpoint)).toEqual(
    listed.checkpoints.map((_, index) => index + 1),
  )
  expect(newest).toEqual({
    checkpoint: listed.checkpoints.length,
    at: expect.stringMatching(/^20.*Z$/),
    generation: 1,
    lineage: expect.stringMatching(/^[a-z0-9]{12}$/),
    final: false,
    committed: true,
    sizeBytes: expect.any(Number),
    newBytes: expect.any(Number),
    blobs: 1,
  })
  const shown = await place.json<Shown>('show', JOB)
  expect(shown).toEqual({
    job: 'history',
    savepoint: null,
    checkpoint: newest?.checkpoint,
    at: expect.stringMatching(/^20.*Z$/),
    final: false,
    committed: true,
    manifest: null,
    generation: 1,
    lineage: expect.any(String),
    maxParallelism: 128,
    sizeBytes: expect.any(Number),
    sources: [
      {
        operator: 'records',
        split: 'in/a.ndjson',
        position: expect.objectContaining({ byte: expect.any(Number) }),
        ended: false,
      },
    ],
    operators: expect.arrayContaining([
      {
        operator: 'count',
        subtasks: 1,
        ended: false,
        splits: 0,
        state: { seen: 'value', sum: 'value' },
        keyGroups: 1,
        stateBytes: expect.any(Number),
        operatorState: {},
        operatorStateBytes: 0,
        writerState: 0,
        committables: 0,
      },
    ]),
    blobs: [
      { key: expect.stringMatching(/^history\/blob\//), sizeBytes: expect.any(Number), sha256: expect.any(String) },
    ],
    due: {},
  })
  const text = await place.sluice('checkpoints', 'show', 'history', '2')
  expect(text).toMatchObject({ code: 0, err: '' })
  expect(text.out).toMatch(/^history: checkpoint 2, completed at .*Z, committed\n/)
  expect(text.out).toMatch(/records in\/a\.ndjson: \{"byte":\d+/)
  expect((await place.sluice('checkpoints', 'list', 'history')).out).toMatch(/^checkpoint +completed at/)
})

test('commits that are due are shown as such', async () => {
  using place = new Place()
  const run = place.start('run', JOB, '--set', 'pace=10', '--set', 'commit=never', '--json')
  await run.says('"completed","checkpoint":3,')
  run.child.kill('SIGKILL')
  await run.ended
  expect(await place.json('show', 'history', '3')).toMatchObject({ committed: false, due: { out: expect.any(Number) } })
  expect((await place.sluice('checkpoints', 'show', 'history', '3')).out).toMatch(/due: \d+ commits of sink out/)
  const { checkpoints } = await place.json<Listed>('list', 'history')
  expect(checkpoints.at(-1)?.committed).toBe(false)
})

test('verify reads all of it: sound is 0, and what is damaged is named with exit code 1', async () => {
  using place = new Place()
  await place.stoppedAfter(5)
  const sound = await place.sluice('checkpoints', 'verify', 'history', '--all')
  expect(sound.code).toBe(0)
  expect(sound.out).toMatch(/^checkpoint 1: sound \(\d+ blobs, .*\)\n/)
  expect(sound.out).toMatch(/\d+ segments, \d+ entries/)
  const { blobs, checkpoint } = await place.json<Shown>('show', 'history')
  const key = blobs[0]?.key ?? ''
  const file = join(place.directory, '.sluice', key)
  const bytes = readFileSync(file)
  const damages: readonly (readonly [() => void, RegExp])[] = [
    [() => truncateSync(file, bytes.length - 1), /has \d+ bytes, \d+ were written/],
    [
      () =>
        writeFileSync(
          file,
          bytes.map((byte, index) => (index === 9 ? byte ^ 1 : byte)),
        ),
      /does not match its sha256/,
    ],
    [() => rmSync(file), /is missing from file:/],
  ]
  for (const [damage, words] of damages) {
    damage()
    const { code, out } = await place.sluice('checkpoints', 'verify', 'history')
    expect({ code, out }).toEqual({ code: 1, out: expect.stringMatching(words) })
    expect(out).toContain(`checkpoint ${checkpoint}: damaged\n  ${key} `)
    writeFileSync(file, bytes)
  }
  rmSync(file)
  const all = await place.sluice('checkpoints', 'verify', JOB, '--all', '--json')
  expect(all.code).toBe(1)
  const { job, checkpoints } = JSON.parse(all.out) as {
    readonly job: string
    readonly checkpoints: readonly { readonly state: string }[]
  }
  expect(job).toBe('history')
  expect(checkpoints.at(-1)).toMatchObject({
    state: 'damaged',
    problems: [{ where: key, problem: expect.any(String) }],
  })
  expect(checkpoints[0]?.state).toBe('sound')
  expect((await place.sluice('checkpoints', 'verify', 'history', '1')).code).toBe(0)
  const log = join(place.directory, '.sluice/history/log')
  const newest = join(log, readdirSync(log).toSorted().at(-1) ?? '')
  truncateSync(newest, readFileSync(newest).length - 1)
  const damagedLog = await place.sluice('checkpoints', 'verify', 'history')
  expect(damagedLog).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^damaged: log entry history\/log\/\d+ has \d+ bytes, \d+ were written/),
  })
})

test('diff tells what moved, what operators came and went, and which blobs are shared', async () => {
  using place = new Place()
  await place.stoppedAfter(4)
  await place.stoppedAfter(8, '--set', 'shape=without', '--drop', 'count')
  const { checkpoints } = await place.json<Listed>('list', 'history')
  const newest = String(checkpoints.at(-1)?.checkpoint)
  const difference = await place.json('diff', 'history', '3', newest)
  expect(difference).toEqual({
    job: 'history',
    a: { checkpoint: 3, generation: 1, at: expect.any(String) },
    b: { checkpoint: Number(newest), generation: 2, at: expect.any(String) },
    positions: [
      {
        operator: 'records',
        split: 'in/a.ndjson',
        from: expect.objectContaining({ byte: expect.any(Number) }),
        to: expect.objectContaining({ byte: expect.any(Number) }),
      },
    ],
    splitsGone: [],
    operatorsAdded: [],
    operatorsGone: ['count'],
    state: [{ operator: 'count', beforeBytes: expect.any(Number), afterBytes: 0 }],
    blobs: {
      shared: { count: 0, sizeBytes: 0 },
      new: { count: 0, sizeBytes: 0 },
      gone: { count: 1, sizeBytes: expect.any(Number) },
    },
  })
  const text = await place.sluice('checkpoints', 'diff', 'history', '3', newest)
  expect(text.out).toMatch(/operator count: gone\n[\s\S]*blobs: 0 \(0 B\) shared/)
  expect((await place.json<{ readonly positions: unknown }>('diff', 'history', '3', '3')).positions).toEqual([])
})

test('a job that runs and retires what is read is not called damaged, and is not disturbed', async () => {
  using place = new Place()
  const run = place.startAs(
    { env: { ...process.env, HISTORY_RETAINED: '2' } },
    'run',
    JOB,
    '--set',
    'pace=25',
    '--json',
  )
  await run.says('"completed","checkpoint":3,')
  for (let times = 0; times < 3 && run.child.exitCode === null; times += 1) {
    const looks = await Promise.all([
      place.sluice('checkpoints', 'verify', 'history', '--all'),
      place.sluice('checkpoints', 'list', 'history'),
      place.sluice('checkpoints', 'show', 'history'),
      place.sluice('checkpoints', 'copy', 'history', '--to', `saved/${times}`),
    ])
    expect(looks.map(({ code, err }) => ({ code, err }))).toEqual(looks.map(() => ({ code: 0, err: '' })))
    expect((await place.sluice('checkpoints', 'verify', `saved/${times}`)).out).toMatch(/: sound/)
  }
  run.child.kill('SIGTERM')
  expect((await run.ended).code).not.toBe(1)
})

test('what is asked wrongly is refused with the reason, and no store is made for a look', async () => {
  using place = new Place()
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['list', 'history'], /there is no checkpoint store/],
    [['show', 'history'], /there is no checkpoint store/],
    [['list'], /missing required argument 'job'/],
    [['copy', 'history'], /required option '--to <place>' not specified/],
    [['copy', 'history', '--to', 'memory:'], /there is no checkpoint store/],
    [['verify', './nothing'], /there is no savepoint at \.\/nothing/],
    [['walk'], /unknown command 'walk'/],
  ]
  for (const [argv, reason] of cases) {
    const { code, err } = await place.sluice('checkpoints', ...argv)
    expect({ argv, code, err }).toEqual({ argv, code: 2, err: expect.stringMatching(reason) })
  }
  expect(existsSync(join(place.directory, '.sluice'))).toBe(false)
  await place.stoppedAfter(2)
  const known: readonly (readonly [readonly string[], RegExp])[] = [
    [['show', 'history', '99'], /job "history" has no checkpoint 99; retained are 1, 2/],
    [['diff', 'history', '1', 'two'], /checkpoint two: give the number of a checkpoint/],
    [['verify', 'hystory'], /knows no job "hystory".*SLUICE_JOB_UNKNOWN/],
    [['copy', 'history', '--to', 'memory:'], /would be gone with this process/],
    [
      ['copy', 'history', '--to', 'x', '--checkpoint', '99'],
      /has no committed checkpoint 99 to copy; committed are 1, 2/,
    ],
  ]
  for (const [argv, reason] of known) {
    const { code, err } = await place.sluice('checkpoints', ...argv)
    expect({ argv, code, err }).toEqual({ argv, code: 2, err: expect.stringMatching(reason) })
  }
})
