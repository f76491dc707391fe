/** `sluice run` and `sluice status` as a shell sees them: what is printed where, and the exit codes. */
import { chmodSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ENDLESS, QUICKSTART, Workplace } from './command.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']

test('a finished job exits 0, writes its output once, and is finished when it is run again', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n{"name":"b"}\n{"name":"a"}\n')
  const first = await place.sluice('run', QUICKSTART, ...SETTINGS)
  expect(first).toMatchObject({ code: 0, out: '' })
  expect(first.err).toMatch(/running, generation 1\n[\s\S]*finished\n$/)
  const lines = ['{"value":"a","count":1}', '{"value":"b","count":1}', '{"value":"a","count":2}']
  expect(place.visible('out')).toEqual(lines)
  expect(existsSync(join(place.directory, '.sluice', 'quickstart'))).toBe(true)
  const again = await place.sluice('run', QUICKSTART)
  expect(again.code).toBe(0)
  expect(again.err).toMatch(/settings of the last run are used again: .*input/)
  expect(again.err).toMatch(/has finished before/)
  expect(place.visible('out')).toEqual(lines)
})

test('a finished job whose input is gone is still finished', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  rmSync(join(place.directory, 'in.ndjson'))
  const again = await place.sluice('run', QUICKSTART)
  expect(again).toMatchObject({ code: 0, err: expect.stringContaining('has finished before') })
})

test('with --json events are JSON lines on stdout, and nothing else is', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  const { code, out } = await place.sluice('run', QUICKSTART, ...SETTINGS, '--json')
  expect(code).toBe(0)
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly event: string })
  expect(events[0]).toMatchObject({ event: 'running', generation: 1, restored: null })
  expect(events.at(-1)).toEqual({ event: 'ended', state: 'FINISHED' })
  const completed = events.findLast((one) => one.event === 'completed')
  expect(completed).toMatchObject({
    sourcePositions: [{ operator: 'records', split: 'in.ndjson', position: { byte: 13 }, ended: true }],
  })
})

test('status tells the whole shape and nothing else, by id and by job file, and makes no store', async () => {
  using place = new Workplace()
  for (const store of ['.sluice', 'file:elsewhere']) {
    const { code, out, err } = await place.sluice('status', 'quickstart', '--store', store)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/there is no checkpoint store .*; name that of the run with --store/)
  }
  expect(readdirSync(place.directory)).toEqual([])
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS, '--store', 'kept')).code).toBe(0)
  const { code, out } = await place.sluice('status', 'quickstart', '--store', 'kept', '--json')
  expect(code).toBe(0)
  const status = JSON.parse(out) as { readonly lastCompleted: { readonly checkpoint: number; readonly at: string } }
  expect(status).toEqual({
    job: 'quickstart',
    lineage: expect.stringMatching(/^[a-z0-9]{8,32}$/),
    state: 'FINISHED',
    generation: 1,
    parallelism: 1,
    lastCompleted: {
      checkpoint: 2,
      at: expect.any(String),
      sourcePositions: [
        { operator: 'records', split: 'in.ndjson', position: expect.objectContaining({ byte: 13 }), ended: true },
      ],
    },
    committedThrough: 2,
    alive: false,
    holder: { pid: expect.any(Number), host: hostname() },
    at: expect.any(String),
    visible: { checkpoint: 2, triggeredAt: expect.any(String) },
    records: { read: { records: 1 }, visible: { counts: 1 } },
    retained: [
      { checkpoint: 1, generation: 1, at: expect.any(String), final: false, stateBytes: expect.any(Number) },
      { checkpoint: 2, generation: 1, at: expect.any(String), final: true, stateBytes: expect.any(Number) },
    ],
    due: [],
    unclean: [],
    restarts: 0,
    codeIdentity: expect.stringMatching(/^[0-9a-f]{32}$/),
    settings: { field: 'name', input: 'in.ndjson', output: 'out' },
    failures: [],
  })
  expect(Date.parse(status.lastCompleted.at)).toBeGreaterThan(Date.parse('2020-01-01'))
  expect((await place.sluice('status', QUICKSTART, '--store', 'kept')).out).toMatch(
    /^quickstart: FINISHED, no process runs it \(the last one was process \d+ on .*\)\n/,
  )
  expect((await place.sluice('status', 'quickstart', '--store', 'kept')).out).toMatch(
    / {2}settings {6}field = name\n[\s\S]* {2}code {10}[0-9a-f]{32}\n/,
  )
  const unknown = await place.sluice('status', 'nobody', '--store', 'kept')
  expect(unknown).toMatchObject({ code: 2, err: expect.stringMatching(/knows no job "nobody"/) })
})

test('status of a job that was killed: as the store knows it, and that nobody runs it', async () => {
  using place = new Workplace()
  const run = place.start('run', ENDLESS, '--json')
  await run.says('"completed","checkpoint":2')
  const during = await place.sluice('status', ENDLESS, '--json')
  expect(JSON.parse(during.out)).toMatchObject({ state: 'RUNNING', alive: true })
  run.child.kill('SIGKILL')
  await run.ended
  const { out } = await place.sluice('status', 'endless', '--json')
  expect(JSON.parse(out)).toMatchObject({ state: 'RUNNING', alive: false, generation: 1 })
})

test('a store that cannot be one is refused with 2 and what to do', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  place.write('file', '')
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      'file',
      /cannot open the checkpoint store .*file: ENOTDIR.*a file is in the way: give a directory \[SLUICE_STORE_NOT_OPENED\]\n$/,
    ],
    ['file/below', /ENOTDIR.*a file is in the way: give a directory \[SLUICE_STORE_NOT_OPENED\]\n$/],
    [
      's3:x',
      /no checkpoint store for "s3:"; use one of file:, memory: or a plain path \[SLUICE_STORE_URI_INVALID\]\n$/,
    ],
    ['', /the checkpoint store is empty text: give a directory/],
    ...(existsSync('/proc/self')
      ? ([['/proc/store', /ENOENT.*give a directory that can be made \[SLUICE_STORE_NOT_OPENED\]\n$/]] as const)
      : []),
  ]
  for (const [store, reason] of cases) {
    const { code, err } = await place.sluice('run', QUICKSTART, ...SETTINGS, '--store', store)
    expect({ store, code, err }).toEqual({ store, code: 2, err: expect.stringMatching(reason) })
  }
})

const NOBODY = 65_534

test('a store that may not be written is refused with 2, and can still be asked', async (context) => {
  using place = new Workplace()
  // Root may write everywhere; nobody may not, and can be asked where the checkout can be read by all.
  const user = process.getuid?.() === 0 ? { uid: NOBODY } : {}
  chmodSync(place.directory, 0o755)
  if ((await place.startAs(user, '--version').ended).code !== 0) context.skip()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  const directories = [
    '',
    '.sluice',
    ...readdirSync(join(place.directory, '.sluice'), { recursive: true, encoding: 'utf8' }).map(
      (one) => `.sluice/${one}`,
    ),
  ]
  for (const one of directories) chmodSync(join(place.directory, one), 0o555)
  const refused = await place.startAs(user, 'run', QUICKSTART, ...SETTINGS).ended
  expect(refused).toMatchObject({
    code: 2,
    err: expect.stringMatching(/EACCES.*let the user of this process write there \[SLUICE_STORE_NOT_OPENED\]\n$/),
  })
  expect((await place.startAs(user, 'status', 'quickstart').ended).out).toMatch(/^quickstart: FINISHED/)
  chmodSync(place.directory, 0o755)
  for (const one of directories) chmodSync(join(place.directory, one), 0o755)
})

test('the log of another job is refused by run and status, whatever its directory is called (F28)', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  renameSync(join(place.directory, '.sluice/quickstart'), join(place.directory, '.sluice/endless'))
  const other =
    /the log of "endless" in file:.* was written by job "quickstart": .*Use another store, or the id "quickstart"/
  for (const command of ['run', 'status']) {
    expect(await place.sluice(command, ENDLESS)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(other) })
  }
})

test('what cannot run is refused with 2 and a reason, and leaves nothing behind', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  place.write('empty.ts', 'export const job = 1\n')
  place.write('broken.ts', 'throw new Error("no luck")\n')
  place.write('dots.ts', "export default { id: '..', build() {} }")
  place.write('throws.ts', "export default { id: 'throws', build() { throw new Error('no such day') } }")
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['run'], /missing required argument 'job'/],
    [['walk'], /unknown command 'walk'/],
    [['run', QUICKSTART, '--fast'], /unknown option '--fast'/],
    [['run', 'gone.ts'], /there is no job file .*gone\.ts/],
    [['run', '.'], /is not a file/],
    [['run', 'empty.ts'], /does not export a job: write `export default defineJob/],
    [['run', 'broken.ts'], /broken\.ts could not be loaded: no luck \[SLUICE_JOB_FILE_BROKEN\]\n[\s\S]*broken\.ts:1/],
    [['run', QUICKSTART], /setting "field" is missing: give it with --set field=…/],
    [['run', QUICKSTART, ...SETTINGS, '--set', 'feild=x'], /does not know the setting "feild"/],
    [['run', QUICKSTART, '--set', 'field'], /write it as --set name=value/],
    [
      ['run', QUICKSTART, '--restore', 'first'],
      /there is no savepoint at first .*the number of a checkpoint, latest or none/,
    ],
    [['run', QUICKSTART, ...SETTINGS, '--set', 'input=none/*'], /--set input is given twice/],
    [
      ['run', QUICKSTART, '--set', 'input=none/*', ...SETTINGS.slice(2)],
      /no file matches "none\/\*" in .*; check the path/,
    ],
    [['run', QUICKSTART, '--set', 'input=', ...SETTINGS.slice(2)], /file source: path is empty; give a file/],
    [['run', QUICKSTART, ...SETTINGS, '--restore', '7'], /no checkpoint 7/],
    [['run', QUICKSTART, ...SETTINGS, '--accept-loss', 'all'], /--accept-loss all: give the number of a checkpoint/],
    [['run', QUICKSTART, QUICKSTART], /too many arguments/],
    [['run', QUICKSTART, '--set'], /'--set <key=value>' argument missing/],
    [['run', 'dots.ts'], /job id "\.\." is not valid/],
    [
      ['run', 'throws.ts'],
      /build of job "throws" failed: no such day \[SLUICE_BUILD_FAILED\]\nError: no such day\n +at .*throws\.ts/,
    ],
    [['plan', 'gone.ts'], /there is no job file .*gone\.ts/],
    [['plan', QUICKSTART, ...SETTINGS, '--set', 'feild=x'], /does not know the setting "feild"/],
    [['status'], /missing required argument 'job'/],
    [['status', 'a--b'], /job id "a--b" is not valid/],
  ]
  for (const [argv, reason] of cases) {
    const { code, err } = await place.sluice(...argv)
    expect({ argv, code, err }).toEqual({ argv, code: 2, err: expect.stringMatching(reason) })
  }
  expect(existsSync(join(place.directory, 'out'))).toBe(false)
})

test('a job that fails for good exits 1 and says where', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n{"name":\n')
  const { code, err } = await place.sluice('run', QUICKSTART, ...SETTINGS)
  expect(code).toBe(1)
  expect(err).toMatch(
    /FAILED: .*in\.ndjson, byte 13: .*Mend the line, or pass over bad lines with onBadLine: 'skip', or take them apart with 'side' \[SLUICE_BAD_LINE\]\n$/,
  )
  const status = await place.sluice('status', 'quickstart', '--json')
  expect(JSON.parse(status.out)).toMatchObject({
    state: 'FAILED',
    alive: false,
    failure: expect.stringContaining('byte 13'),
  })
})

test('a job that ends the process itself has not finished: exit 1, and the next run goes on', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n{"name":"b"}\n')
  place.write(
    'job.ts',
    `import { defineJob, json } from 'sluice'
     import { fileSource } from 'sluice/sources/file'
     import { fileSink } from 'sluice/sinks/file'
     export default defineJob({
       id: 'leaving',
       build(flow, settings) {
         const leaves = settings.flag('leave')
         flow
           .source('in', fileSource({ path: 'in.ndjson', decode: json() }))
           .map('same', (record) => (leaves ? process.exit(0) : record))
           .sink('out', fileSink({ path: 'out', encode: json() }))
       },
     })`,
  )
  const left = await place.sluice('run', 'job.ts', '--set', 'leave=true')
  expect(left.code).toBe(1)
  expect(left.err).toContain('ended the process with exit code 0')
  expect((await place.sluice('run', 'job.ts', '--set', 'leave=false')).code).toBe(0)
  expect(place.visible('out')).toEqual(['{"name":"a"}', '{"name":"b"}'])
})

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s stops with a last checkpoint; the next run goes on behind it',
  async (signal) => {
    using place = new Workplace()
    const run = place.start('run', ENDLESS, '--json')
    await run.says('"completed","checkpoint":2')
    run.child.kill(signal)
    const ended = await run.ended
    expect(ended.code).toBe(signal === 'SIGINT' ? 130 : 143)
    expect(ended.out).toMatch(/\{"event":"stopping","signal":"SIG.*"\}/)
    expect(ended.out).toMatch(/\{"event":"ended","state":"STOPPED"\}\n$/)
    expect(place.visible('out')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    const next = place.start('run', ENDLESS, '--json')
    await next.says('"restored":')
    await next.says('"completed"')
    next.child.kill(signal)
    expect((await next.ended).out).toMatch(/"generation":2,"restored":[0-9]+/)
    expect(place.visible('out')).toHaveLength(10)
  },
)

test('a stop that hangs is STOPPING for who asks, and a second signal ends it at once', async () => {
  using place = new Workplace()
  const run = place.start('run', ENDLESS, '--set', 'stuck=true')
  await run.says('running')
  run.child.kill('SIGTERM')
  await run.says('once more to exit at once')
  await expect
    .poll(
      async () => {
        const { out } = await place.sluice('status', 'endless', '--json')
        return out === '' ? undefined : (JSON.parse(out) as { readonly state: string }).state
      },
      { timeout: 20_000 },
    )
    .toBe('STOPPING')
  run.child.kill('SIGINT')
  expect((await run.ended).code).toBe(130)
})

test('a signal that comes twice at once, to a process and its group, is one clean stop', async () => {
  using place = new Workplace()
  const run = place.start('run', ENDLESS, '--json')
  await run.says('"completed","checkpoint":2')
  // Two of one kind may reach a busy process as one.
  run.child.kill('SIGTERM')
  run.child.kill('SIGINT')
  const { code, out } = await run.ended
  expect([130, 143]).toContain(code)
  expect(out.match(/"event":"stopping"/g)).toHaveLength(1)
  expect(out).toMatch(/\{"event":"ended","state":"STOPPED"\}\n$/)
})

test('a job that another process runs is refused with 3 and goes on undisturbed', async () => {
  using place = new Workplace()
  const run = place.start('run', ENDLESS, '--json')
  await run.says('"completed"')
  const second = await place.sluice('run', ENDLESS, '--json')
  expect(second.code).toBe(3)
  expect(JSON.parse(second.out)).toEqual({
    event: 'fenced',
    exitCode: 3,
    code: 'SLUICE_JOB_HELD',
    error: expect.stringContaining(`run by process ${run.child.pid}`),
  })
  const { out } = await place.sluice('status', 'endless', '--json')
  expect(JSON.parse(out)).toMatchObject({ state: 'RUNNING', alive: true, generation: 1 })
  const over = place.start('run', ENDLESS, '--take-over')
  expect((await run.ended).code).toBe(3)
  await over.says('running, generation 2')
  over.child.kill('SIGTERM')
  expect((await over.ended).code).toBe(143)
})

test('who stops reading the events does not hurt the run', async () => {
  using place = new Workplace()
  writeFileSync(join(place.directory, 'in.ndjson'), '{"name":"a"}\n'.repeat(1000))
  const run = place.start('run', QUICKSTART, ...SETTINGS, '--json')
  run.child.stdout?.destroy()
  expect((await run.ended).code).toBe(0)
  expect(place.visible('out')).toHaveLength(1000)
})
