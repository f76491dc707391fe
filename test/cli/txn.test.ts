/** `sluice txn` on a job whose sink has no transactions to look at. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Workplace } from './command.ts'

const JOB = fileURLToPath(new URL('history.job.ts', import.meta.url))

test('a sink without transactions is named, with what is due of it, in the settings of the last run', async () => {
  using place = new Workplace()
  place.write('in/a.ndjson', Array.from({ length: 150 }, (_, n) => `{"n":${n}}\n`).join(''))
  const run = place.start('run', JOB, '--set', 'pace=10', '--set', 'commit=never', '--json')
  await run.says('"completed","checkpoint":3,')
  run.child.kill('SIGKILL')
  await run.ended
  const { code, out } = await place.sluice('txn', 'list', JOB, '--json')
  expect(code).toBe(0)
  const looked = JSON.parse(out) as { readonly unseen: readonly { readonly due: number }[] }
  expect(looked).toMatchObject({
    job: 'history',
    alive: false,
    transactions: [],
    unseen: [{ sink: 'out', kind: 'file' }],
  })
  expect(looked.unseen[0]?.due).toBeGreaterThan(0)
  const text = await place.sluice('txn', 'list', JOB)
  expect(text.out).toMatch(/^history: no process runs it; committed through checkpoint \d+\nnothing is open outside/)
  expect(text.out).toMatch(/sink "out" \(file\) has no transactions to look at; \d+ commits? due/)
  const commit = await place.sluice('txn', 'commit', JOB, '--all-due', '--yes')
  expect(commit).toMatchObject({ code: 0, out: 'history: there is nothing to commit\n' })
})

test('a job file is needed, and its store', async () => {
  using place = new Workplace()
  const byId = await place.sluice('txn', 'list', 'orders')
  expect(byId).toMatchObject({ code: 2, err: expect.stringContaining('[SLUICE_JOB_FILE_MISSING]') })
  const unknown = await place.sluice('txn', 'list', JOB)
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('[SLUICE_STORE_MISSING]') })
})
