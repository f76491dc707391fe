/** The answers that need no run: plan, help, version. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { QUICKSTART, ROUTES, Workplace } from './command.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']

test('plan prints operators, state, the guarantee of each path and the tasks, and opens nothing', async () => {
  using place = new Workplace()
  const { code, out } = await place.sluice('plan', QUICKSTART, ...SETTINGS)
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^job quickstart, plan [0-9a-f]{32}, 128 key groups, exactly-once asked$/),
    '  records: source (file, exactly-once)',
    '  pick: map <- records',
    '  pick.key-1: keyBy <- pick',
    '  count: process (seen: value) <- pick.key-1',
    '  counts: sink (file, exactly-once) <- count',
    '  records -> counts: exactly-once',
    'tasks at parallelism 1',
    '  1 x [records, pick, count, counts]',
    '',
  ])
  const asJson = JSON.parse((await place.sluice('plan', QUICKSTART, ...SETTINGS, '--json')).out) as object
  expect(asJson).toMatchObject({
    format: 1,
    job: 'quickstart',
    keyGroups: 128,
    planHash: expect.stringMatching(/^[0-9a-f]{32}$/),
    tasks: { parallelism: 1, vertices: [{ id: 'records', parallelism: 1 }], exchanges: [] },
  })
})

test('plan --parallelism shows the tasks that a job would run as; the plan is the same', async () => {
  using place = new Workplace()
  const { out } = await place.sluice('plan', QUICKSTART, ...SETTINGS, '--parallelism', '3')
  expect(out).toContain(
    [
      'tasks at parallelism 3',
      '  3 x [records, pick]',
      '  3 x [count, counts]',
      '  pick => count: key (pick.key-1)',
      '',
    ].join('\n'),
  )
  const asJson = await place.sluice('plan', QUICKSTART, ...SETTINGS, '--parallelism', '3', '--json')
  const { planHash, tasks } = JSON.parse(asJson.out) as { readonly planHash: string; readonly tasks: object }
  expect(out).toContain(`plan ${planHash},`)
  expect((await place.sluice('plan', QUICKSTART, ...SETTINGS)).out).toContain(`plan ${planHash},`)
  expect(tasks).toMatchObject({
    parallelism: 3,
    exchanges: [{ from: 'pick', to: 'count', port: 0, partition: { kind: 'key', keyBy: 'pick.key-1' } }],
  })
  for (const wrong of ['0', '129', '1.5', 'many']) {
    const refused = await place.sluice('plan', QUICKSTART, ...SETTINGS, '--parallelism', wrong)
    expect(refused).toMatchObject({ code: 2, out: '' })
    expect(refused.err).toContain(`--parallelism ${wrong}: give a number from 1 to 128`)
  }
})

test('plan shows several inputs, side outputs, state without a key, and the parallelism that operators name', async () => {
  using place = new Workplace()
  const { code, out, err } = await place.sluice('plan', ROUTES)
  expect(err).toBe('')
  expect(code).toBe(0)
  expect(out.split('\n').slice(1)).toEqual([
    '  left: source (generator, exactly-once)',
    '  right: source (generator, exactly-once, parallelism 1)',
    '  rules: source (generator, exactly-once)',
    '  left.union-1: union <- left, right',
    '  rules.broadcast-1: broadcast <- rules',
    '  judge: connect (limits: broadcast-map) <- left.union-1, rules.broadcast-1',
    '  judge.side-refused: side <- judge',
    '  judge.rebalance-1: rebalance <- judge',
    '  spread: process (seen: split-list, parallelism 4) <- judge.rebalance-1',
    '  good: sink (discard, exactly-once) <- spread',
    '  bad: sink (discard, exactly-once) <- judge.side-refused',
    ...['good', 'bad'].flatMap((sink) =>
      ['left', 'right', 'rules'].map((source) => `  ${source} -> ${sink}: exactly-once`),
    ),
    'tasks at parallelism 2',
    '  2 x [left]',
    '  1 x [right]',
    '  2 x [rules]',
    '  2 x [judge, bad]',
    '  4 x [spread]',
    '  2 x [good]',
    '  left => judge: forward',
    '  right => judge: forward',
    '  rules => judge: broadcast',
    '  judge => spread: rebalance',
    '  spread => good: forward',
    '',
  ])
})

test('help names the commands and the exit codes; version is that of the package', async () => {
  using place = new Workplace()
  const help = await place.sluice('--help')
  expect(help).toMatchObject({ code: 0, err: '' })
  for (const word of ['run', 'plan', 'status', 'Exit codes']) expect(help.out).toContain(word)
  const runHelp = await place.sluice('run', '--help')
  for (const word of ['Examples', 'Exit codes', '130, 143']) expect(runHelp.out).toContain(word)
  expect(runHelp.out).not.toContain('default: []')
  for (const flag of [
    '--store',
    '--set',
    '--restore',
    '--accept-duplicates',
    '--accept-loss',
    '--drop',
    '--take-over',
    '--json',
  ]) {
    expect(runHelp.out).toContain(flag)
  }
  const version = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string }
  expect(await place.sluice('--version')).toMatchObject({ code: 0, out: `${version.version}\n` })
  expect(await place.sluice()).toMatchObject({ code: 2, out: '', err: expect.stringMatching(/^Usage: sluice /) })
})
