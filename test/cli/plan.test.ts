/** The answers that need no run: plan, help, version. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { QUICKSTART, Workplace } from './command.ts'

const SETTINGS = ['--set', 'input=in.ndjson', '--set', 'field=name', '--set', 'output=out']

test('plan prints operators, state and the guarantee of each path, and opens nothing', async () => {
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
    '',
  ])
  const asJson = JSON.parse((await place.sluice('plan', QUICKSTART, ...SETTINGS, '--json')).out) as object
  expect(asJson).toMatchObject({
    format: 1,
    job: 'quickstart',
    keyGroups: 128,
    planHash: expect.stringMatching(/^[0-9a-f]{32}$/),
  })
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
  expect((await place.sluice()).code).toBe(2)
})
