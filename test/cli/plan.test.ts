/** The answers that need no run: plan, help, version. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { QUICKSTART, ROUTES, Workplace } from './command.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']

test('plan prints a tree of operators, state, the guarantee of each path and the tasks, and opens nothing', async () => {
  using place = new Workplace()
  const { code, out } = await place.sluice('plan', QUICKSTART, ...SETTINGS)
  expect(code).toBe(0)
  expect(out.split('\n')).toEqual([
    expect.stringMatching(/^job quickstart, plan [0-9a-f]{32}, 128 key groups$/),
    '',
    'records             source file, exactly-once',
    '└─ pick             map',
    '   └─ pick.key-1    keyBy',
    '      └─ count      process, state seen: value',
    '         └─ counts  sink file, exactly-once',
    '',
    'guarantee of each path (the job asks for exactly-once)',
    '  records -> counts: exactly-once',
    '',
    '1 task at parallelism 1',
    '    1 x records, pick, count, counts',
    '',
  ])
  const { out: line } = await place.sluice('plan', QUICKSTART, ...SETTINGS, '--json')
  expect(line.split('\n')).toEqual([expect.any(String), ''])
  const asJson = JSON.parse(line) as object
  expect(Object.keys(asJson)).toEqual([
    'format',
    'job',
    'guarantee',
    'keyGroups',
    'operators',
    'edges',
    'paths',
    'planHash',
    'tasks',
  ])
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
      '6 tasks at parallelism 3',
      '    3 x records, pick',
      '        pick ==> count, by key (pick.key-1)',
      '    3 x count, counts',
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
  expect(out.split('\n').slice(2)).toEqual([
    'left                         source generator, exactly-once',
    '└─ left.union-1              union, of left and right',
    '   └─ judge                  connect, of left.union-1 and rules.broadcast-1, state limits: broadcast-map',
    '      ├─ judge.side-refused  side, output "refused"',
    '      │  └─ bad              sink discard, exactly-once',
    '      └─ judge.rebalance-1   rebalance',
    '         └─ spread           process, state seen: split-list, parallelism 4',
    '            └─ good          sink discard, exactly-once',
    'right                        source generator, exactly-once, parallelism 1',
    '└─ left.union-1              union, shown above',
    'rules                        source generator, exactly-once',
    '└─ rules.broadcast-1         broadcast',
    '   └─ judge                  connect, shown above',
    '',
    'guarantee of each path (the job asks for exactly-once)',
    ...['good', 'bad'].flatMap((sink) =>
      ['left', 'right', 'rules'].map((source) => `  ${source} -> ${sink}: exactly-once`),
    ),
    '',
    '13 tasks at parallelism 2',
    '    2 x left',
    '        left ==> judge, forward',
    '    1 x right',
    '        right ==> judge, forward',
    '    2 x rules',
    '        rules ==> judge, broadcast',
    '    2 x judge, bad',
    '        judge ==> spread, rebalance',
    '    4 x spread',
    '        spread ==> good, forward',
    '    2 x good',
    '',
  ])
})

test('a path that gives less than exactly-once says which hop it is, and what that means', async () => {
  using place = new Workplace()
  place.write(
    'job.ts',
    `import { defineJob } from 'sluice'
     import { callbackSink } from 'sluice/sinks/callback'
     import { discardSink } from 'sluice/sinks/discard'
     import { generatorSource } from 'sluice/sources/generator'
     const numbers = generatorSource({ seed: 1, count: 10, generate: (index) => index })
     const twice = { ...numbers, guarantee: 'at-least-once' as const }
     const over = { ...discardSink(), guarantee: 'idempotent' as const }
     export default defineJob({
       id: 'weak',
       guarantee: 'at-least-once',
       build(flow) {
         const left = flow.source('left', numbers)
         const right = flow.source('right', twice)
         left.sink('kept', discardSink())
         left.sink('over', over)
         left.union(right).sink('told', callbackSink({ onBatch: () => undefined }))
       },
     })`,
  )
  const { out, err } = await place.sluice('plan', 'job.ts')
  expect(err).toBe('')
  expect(out.slice(out.indexOf('guarantee of')).split('\n').slice(0, 9)).toEqual([
    'guarantee of each path (the job asks for at-least-once)',
    '  left -> kept: exactly-once',
    '  left -> over: idempotent',
    '      sink "over" (discard) gives no more: after a failure output is written again, over what was there',
    '  left -> told: at-least-once',
    '      sink "told" (callback) gives no more: after a failure records may come a second time',
    '  right -> told: at-least-once',
    '      source and sink give no more: after a failure records may come a second time',
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
