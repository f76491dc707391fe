/** The progress of `sluice run` as a shell, a terminal and a program see it. */
import { execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Progress } from '../../engine/coordinator/progress.ts'
import { COMMAND, ENDLESS, QUICKSTART, Running, Workplace } from './command.ts'
import { screen } from './screen.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']
const COUNTS = fileURLToPath(new URL('../worker/counts.job.ts', import.meta.url))

function progressIn(out: string): readonly Progress[] {
  return out
    .split('\n')
    .filter((line) => line.startsWith('{"event":"progress"'))
    .map((line) => JSON.parse(line) as Progress)
}

test('with --json progress is told, the last time just before the end, with the amounts of the whole run', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n'.repeat(1_234))
  const { out, code } = await place.sluice('run', QUICKSTART, ...SETTINGS, '--json')
  expect(code).toBe(0)
  expect(out.trimEnd().split('\n').at(-2)).toMatch(/^\{"event":"progress","state":"FINISHED"/)
  const last = progressIn(out).at(-1)
  expect(Object.keys(last ?? {})).toEqual([
    'event',
    'state',
    'generation',
    'uptimeMs',
    'restarts',
    'sources',
    'sinks',
    'checkpoints',
    'commits',
    'visible',
    'figures',
  ])
  expect(last?.sources).toMatchObject([{ operator: 'records', read: 1_234, skipped: 0, confirmed: 1_234 }])
  expect(last?.sinks).toMatchObject([{ operator: 'counts', written: 1_234, visible: 1_234, eventLagMs: null }])
})

test('what sources and sinks count by names of their own is told too, also by workers', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"n":1}\nbad\n{"n":2}\nworse\n')
  place.write(
    'job.ts',
    `import { defineJob, json } from 'sluice'
     import { fileSource } from 'sluice/sources/file'
     import { discardSink } from 'sluice/sinks/discard'
     export default defineJob({
       id: 'skipping',
       build(flow) {
         const from = (onBadLine) => fileSource({ path: 'in.ndjson', decode: json(), onBadLine })
         flow.source('in', from('skip')).union(flow.source('apart', from('side'))).sink('out', discardSink())
       },
     })`,
  )
  const { out } = await place.sluice('run', 'job.ts', '--workers', '1', '--json')
  const last = progressIn(out).at(-1)
  expect(last?.sources).toMatchObject([
    { operator: 'in', read: 2, skipped: 2, confirmed: 2 },
    { operator: 'apart', read: 2, skipped: 0, confirmed: 2 },
  ])
  expect(last?.figures).toEqual([{ operator: 'apart', subtask: 0, name: 'bad-lines', kind: 'counter', value: 2 }])
})

test('for people the amounts of the whole run stand before its end', async () => {
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n'.repeat(1_234))
  const { err } = await place.sluice('run', QUICKSTART, ...SETTINGS)
  expect(err).toMatch(/^running, generation 1\nread 1,234 records, wrote 1,234, 2 checkpoints, in .*s\nfinished\n$/)
})

test('with workers, one of them killed: what is confirmed and visible is what the output holds, record by record', async () => {
  using place = new Workplace()
  const run = place.start('run', COUNTS, '--workers', '2', '--set', 'rate=20000', '--json')
  await run.says('"completed","checkpoint":3')
  const [worker] = execFileSync('ps', ['-o', 'pid=', '--ppid', String(run.child.pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
  process.kill(Number(worker), 'SIGKILL')
  await run.says('"event":"running","generation":2')
  await run.says('"state":"RUNNING","generation":2')
  run.child.kill('SIGTERM')
  const { code, out } = await run.ended
  expect(code).toBe(143)
  const records = place.visible('counts').length
  const all = progressIn(out)
  expect(all.at(-1)).toMatchObject({
    state: 'STOPPED',
    sources: [{ operator: 'numbers', confirmed: records }],
    sinks: [{ operator: 'counts', visible: records }],
  })
  // A machine that is too busy may take another one for dead.
  expect(all.at(-1)?.restarts).toBeGreaterThanOrEqual(1)
  const read = all.map(({ sources }) => sources[0]?.read ?? 0)
  expect(read).toEqual(read.toSorted((a, b) => a - b))
  expect(read.at(-1)).toBeGreaterThanOrEqual(records)
  const status = JSON.parse((await place.sluice('status', 'counts', '--json')).out) as { readonly records: unknown }
  expect(status.records).toEqual({ read: { numbers: records }, visible: { counts: records } })
})

/** A terminal of its own, that a test types into and makes wider and narrower. */
class Terminal implements Disposable {
  readonly running: Running
  written = ''

  constructor(place: Workplace, ...argv: readonly string[]) {
    const quoted = [process.execPath, COMMAND, ...argv].map((one) => `'${one}'`).join(' ')
    // Says which terminal it is, so that its size can be set.
    const child = spawn('script', ['-qec', `tty; stty cols 200 -echo; exec ${quoted}`, '/dev/null'], {
      cwd: place.directory,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '' },
    })
    child.stdout.on('data', (data: Buffer) => (this.written += data.toString()))
    this.running = new Running(child)
  }

  type(text: string): void {
    this.running.child.stdin?.write(text)
  }

  resize(columns: number): void {
    const device = /\/dev\/\S+/.exec(this.written)?.[0] ?? ''
    execFileSync('stty', ['-F', device, 'cols', String(columns)])
  }

  /** The row that is rewritten. */
  get row(): string {
    return screen(this.written).at(-1) ?? ''
  }

  [Symbol.dispose](): void {
    this.running.child.kill('SIGKILL')
  }
}

test('in a terminal one line is rewritten, follows its width, and leaves what was printed; Ctrl-C stops', async (context) => {
  try {
    execFileSync('script', ['--version'])
  } catch {
    context.skip()
  }
  using place = new Workplace()
  using terminal = new Terminal(place, 'run', ENDLESS)
  const patience = { timeout: 20_000, interval: 5 }
  await expect
    .poll(() => terminal.row, patience)
    .toMatch(
      /^running \d.* s · read \d+\/s, 10 · wrote \d+\/s, 10 · checkpoint \d+ \(.* m?s, .* m?s ago\) · visible lag \d.* m?s$/,
    )
  expect(terminal.written).toContain('\u001b[32mrunning')
  terminal.resize(50)
  await expect.poll(() => terminal.row, patience).toMatch(/^running [^·]* s( · read [^·]*)? · visible lag [^·]*$/)
  expect(terminal.row.length).toBeLessThan(50)
  terminal.resize(200)
  await expect.poll(() => terminal.row, patience).toMatch(/checkpoint \d+ \(/)
  // Each report is one write over the line before: the beginning of the line is never erased first.
  expect(terminal.written).not.toContain('\r\u001b[Krunning')
  terminal.type('\u0003')
  const { code } = await terminal.running.ended
  expect(code).toBe(130)
  const rows = screen(terminal.written).map((one) => one.trimEnd())
  expect(rows.slice(1)).toEqual([
    'running, generation 1',
    expect.stringContaining('SIGINT: stopping with a last checkpoint; once more to exit at once'),
    expect.stringMatching(/^read 10 records, wrote 10, \d+ checkpoints, in \d/),
    'stopped; run again to go on',
    '',
  ])
})

test('a terminal that cannot rewrite a line, or is none, is told in lines', async (context) => {
  try {
    execFileSync('script', ['--version'])
  } catch {
    context.skip()
  }
  using place = new Workplace()
  place.write('in.ndjson', '{"name":"a"}\n')
  const argv = ['run', QUICKSTART, ...SETTINGS].map((one) => `'${one}'`).join(' ')
  const out = execFileSync('script', ['-qec', `'${process.execPath}' '${COMMAND}' ${argv}`, '/dev/null'], {
    cwd: place.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    env: { ...process.env, TERM: 'dumb' },
  })
  expect(out).toMatch(/^running, generation 1\r\nread 1 record, wrote 1, 2 checkpoints, in .*\r\nfinished\r\n$/)
})
