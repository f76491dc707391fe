/** `sluice doctor` as a shell sees it: what is fine, what is not, what would help, and that it leaves nothing behind. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ENDLESS, QUICKSTART, Workplace } from './command.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']

interface Answer {
  readonly ok: boolean
  readonly findings: readonly {
    readonly check: string
    readonly state: string
    readonly message: string
    readonly cure?: string
  }[]
}

async function doctor(
  place: Workplace,
  ...argv: readonly string[]
): Promise<Answer & { readonly code: number | null }> {
  const { code, out, err } = await place.sluice('doctor', ...argv, '--json')
  if (out === '') throw new Error(err)
  return { code, ...(JSON.parse(out) as Answer) }
}

function stateOf({ findings }: Answer, check: string): string {
  const mine = findings.filter((one) => one.check === check)
  return mine.map(({ state, message }) => `${state}: ${message}`).join('\n')
}

test('where all is well it exits 0 with a line for each check, and makes neither store nor output', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  const answer = await doctor(place, QUICKSTART, ...SETTINGS)
  expect(answer).toMatchObject({ code: 0, ok: true })
  const checks = [
    'node',
    'package',
    'open files',
    'job file',
    'store',
    'space',
    'job',
    'build',
    'guarantee',
    'source',
    'sink',
    'output',
    'space',
  ]
  expect(answer.findings.map(({ check }) => check)).toEqual(checks)
  expect(answer.findings.every(({ state }) => state !== 'fail')).toBe(true)
  expect(readdirSync(place.directory)).toEqual(['in.ndjson'])
  const text = await place.sluice('doctor')
  expect(text.code).toBe(0)
  expect(text.out).toMatch(/^ok +node +Node 24\.\d+/)
})

test('a store is probed and measured, and nothing of that stays', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  const answer = await doctor(place, 'quickstart')
  expect(answer.code).toBe(0)
  expect(stateOf(answer, 'store probe')).toMatch(/^ok: file:.*keeps conditional creates apart/)
  expect(stateOf(answer, 'store speed')).toMatch(/a durable create takes \d+\.\d ms, a get \d+\.\d ms/)
  expect(stateOf(answer, 'holder')).toMatch(/^ok: nobody runs quickstart/)
  expect(stateOf(answer, 'state')).toMatch(/^ok: FINISHED, last checkpoint 2/)
  expect((await doctor(place)).code).toBe(0)
  expect(readdirSync(join(place.directory, '.sluice'))).toEqual(['quickstart'])
  expect(readdirSync(join(place.directory, '.sluice/quickstart/probe'))).toEqual([])
  // Settings of the last run are those of the next.
  expect(stateOf(await doctor(place, QUICKSTART), 'build')).toMatch(/^ok/)
})

test('a job that is held says by whom, and goes on', async () => {
  using place = new Workplace()
  const run = place.start('run', ENDLESS, '--json')
  await run.says('"completed"')
  const answer = await doctor(place, ENDLESS)
  expect(stateOf(answer, 'holder')).toMatch(
    new RegExp(`^ok: .* is run by process ${run.child.pid} on .* \\(generation 1\\)`),
  )
  expect(run.child.exitCode).toBe(null)
})

test('what is in the way is said with its cure, and exits 1', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  const missing = await doctor(place, QUICKSTART)
  expect(missing).toMatchObject({ code: 1, ok: false })
  expect(stateOf(missing, 'build')).toMatch(/^fail: setting "field" is missing/)
  const gone = await doctor(place, QUICKSTART, '--set', 'input=none/*', ...SETTINGS.slice(2))
  expect(gone.code).toBe(1)
  expect(stateOf(gone, 'source')).toMatch(/^fail: "records": .*no file matches "none\/\*"/)
  expect(stateOf(await doctor(place, 'gone.ts'), 'job file')).toMatch(/^fail: there is no job file/)
  writeFileSync(join(place.directory, 'plain'), '')
  expect(stateOf(await doctor(place, '--store', 'plain'), 'store')).toMatch(/^fail/)
  const text = await place.sluice('doctor', 'gone.ts')
  expect(text.out).toMatch(/FAIL +job file .*\n +-> mend it, or give another\n/)
  const wrong = await place.sluice('doctor', 'a--b')
  expect(wrong).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/job id "a--b" is not valid/) })
})

test.skipIf(process.getuid?.() !== 0)('a store that this user may not write is said to be one', async () => {
  using place = new Workplace()
  mkdirSync(join(place.directory, 'mine'), { mode: 0o700 })
  chmodSync(place.directory, 0o755)
  const { code, out } = await place.startAs({ uid: 65534 }, 'doctor', '--store', 'mine').ended
  expect(code).toBe(1)
  expect(out).toMatch(/FAIL +store .*mine.*\n[\s\S]*-> /)
})

test('an id that the store knows nothing of is warned of, a job file that is new is not', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect(stateOf(await doctor(place, 'quickstatr'), 'job')).toMatch(/^warn: quickstatr has not run in /)
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  expect(stateOf(await doctor(place, 'quickstatr'), 'job')).toMatch(/^warn: quickstatr has not run in /)
  expect(stateOf(await doctor(place, 'quickstart'), 'job')).toBe('')
  expect(stateOf(await doctor(place, ENDLESS), 'job')).toMatch(/^ok: endless has not run in /)
})

test('a log entry from the future, and rights that others have, are warned of', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  expect((await place.sluice('run', QUICKSTART, ...SETTINGS)).code).toBe(0)
  const log = join(place.directory, '.sluice/quickstart/log')
  const file = join(log, readdirSync(log).toSorted().at(-1) ?? '')
  const entry = JSON.parse(readFileSync(file, 'utf8').split('\n')[1] ?? '') as { readonly at: number }
  const body = JSON.stringify({ ...entry, at: entry.at + 3_600_000 })
  const sha256 = createHash('sha256').update(body).digest('hex')
  writeFileSync(file, `sluice-log 1 ${sha256} ${Buffer.byteLength(body)}\n${body}`)
  chmodSync(join(place.directory, '.sluice'), 0o777)
  const answer = await doctor(place, 'quickstart')
  expect(answer.code).toBe(0)
  expect(stateOf(answer, 'clock')).toMatch(/^warn: the newest log entry is from \d+\.\d s in the future/)
  expect(stateOf(answer, 'store')).toMatch(/^warn: .* can be written by other users too/)
  expect(answer.findings.filter(({ state }) => state === 'warn').every(({ cure }) => cure !== undefined)).toBe(true)
})
