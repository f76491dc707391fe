/** The examples do what they say; the checker of the orders example is shown to catch what it is there for. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { orderAt } from '../../examples/orders/generate.ts'
import { expectedOf, verify } from '../../examples/orders/verify.ts'
import { QUICKSTART, Workplace } from './command.ts'

test('quickstart counts any JSON value of any NDJSON, in order, over several files', async () => {
  using place = new Workplace()
  const values = [
    '"a"',
    '1',
    '1.0',
    '"1"',
    'null',
    'true',
    '"true"',
    '[1,{"x":2,"y":[]}]',
    '[1,{"y":[],"x":2}]',
    '{}',
    '"é\\n"',
    '-0',
    '0',
    '"__proto__"',
  ]
  const records = Array.from({ length: 300 }, (_, index) => {
    const value = values[(index * index + 3 * index) % values.length] ?? 'null'
    return index % 11 === 0
      ? ['{"other":1}', '7', 'null', '[]', '"toString"'][index % 5]
      : `{"toString":${value},"n":${index}}`
  })
  place.write('in/a.ndjson', records.slice(0, 170).join('\r\n'))
  place.write('in/b.ndjson', `${records.slice(170).join('\n')}\n\n`)
  const run = await place.sluice(
    'run',
    QUICKSTART,
    '--set',
    'input=in/*.ndjson',
    '--set',
    'field=toString',
    '--set',
    'output=out',
  )
  expect(run).toMatchObject({ code: 0 })
  const seen: unknown[] = []
  const expected = records.map((record) => {
    const parsed: unknown = JSON.parse(record ?? 'null')
    const isObject = typeof parsed === 'object' && parsed !== null && Object.hasOwn(parsed, 'toString')
    const value: unknown = isObject ? (parsed as { readonly toString: unknown }).toString : null
    seen.push(value)
    return { value, count: seen.filter((one) => isSame(one, value)).length }
  })
  const lines = place.visible('out').map((line) => JSON.parse(line) as unknown)
  expect(lines).toEqual(JSON.parse(JSON.stringify(expected)))
  expect(lines).toHaveLength(300)
})

async function quickstart(place: Workplace, input = 'in/*.ndjson'): Promise<readonly string[]> {
  const settings = ['--set', `input=${input}`, '--set', 'field=v', '--set', 'output=out']
  const run = await place.sluice('run', QUICKSTART, ...settings)
  expect(run).toMatchObject({ code: 0, err: expect.stringContaining('finished') })
  return place.visible('out')
}

test('quickstart takes odd files: empty, of empty lines, CRLF, no last line end, byte order mark, names in unicode', async () => {
  using place = new Workplace()
  place.write('in/0 empty.ndjson', '')
  place.write('in/1 lines.ndjson', '\n\r\n  \n')
  place.write('in/2 crlf.ndjson', '{"v":"a"}\r\n{"v":"a"}')
  place.write('in/3 märk ✓.ndjson', '\ufeff{"v":"a"}\n{"v":"\u2028"}\n')
  expect(await quickstart(place)).toEqual([
    '{"value":"a","count":1}',
    '{"value":"a","count":2}',
    '{"value":"a","count":3}',
    '{"value":"\u2028","count":1}',
  ])
  using nothing = new Workplace()
  nothing.write('in/a.ndjson', '')
  expect(await quickstart(nothing)).toEqual([])
})

test('quickstart writes numbers as they are, however large, and tells them apart', async () => {
  using place = new Workplace()
  const values = [
    '12345678901234567890',
    '12345678901234567891',
    '12345678901234567890',
    '9007199254740993',
    '1e400',
    '-1e400',
    'null',
    '0.5',
    '1e3',
    '[12345678901234567890]',
    '{"rawJSON":"12345678901234567890"}',
    '18014398509481984',
  ]
  place.write('in/a.ndjson', values.map((one) => `{"v":${one}}\n`).join(''))
  const counts = [1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
  const texts = values.map((one) => (one === '1e3' ? '1000' : one))
  expect(await quickstart(place)).toEqual(texts.map((one, index) => `{"value":${one},"count":${counts[index]}}`))
})

test('quickstart says where a line is bad among numbers that need care', async () => {
  using place = new Workplace()
  place.write('in/a.ndjson', '{"v":12345678901234567890}\n{"v":\n')
  const settings = ['--set', 'input=in', '--set', 'field=v', '--set', 'output=out']
  const { code, err } = await place.sluice('run', QUICKSTART, ...settings)
  expect(code).toBe(1)
  expect(err).toMatch(/in\/a\.ndjson, byte 27/)
})

/** Written another way than the job does it. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [one, other] = [Object.entries(a), new Map<string, unknown>(Object.entries(b))]
  return one.length === other.size && one.every(([name, value]) => other.has(name) && isSame(value, other.get(name)))
}

test('quickstart survives its own kills', { timeout: 120_000 }, () => {
  const argv = ['--conditions=sluice-source', 'examples/quickstart/main.ts']
  argv.push('--count', '300000', '--kills', '1', '--within', '30')
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout.match(/^killed: /gm)).toHaveLength(1)
  expect(stdout).toMatch(/finished after 1 kills: 300000 counts, each exactly once, in order/)
})

test('orders survives its own kills', { timeout: 120_000 }, () => {
  const main = 'examples/orders/main.ts'
  const argv = ['--conditions=sluice-source', main, '--count', '60000', '--kills', '2', '--interval', '10']
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout.match(/^killed at/gm)).toHaveLength(2)
  expect(stdout).toMatch(/finished after 2 kills: 60000 enriched orders and [0-9]{5} running totals, each exactly once/)
})

const SEED = 5
const COUNT = 200
let output = ''
beforeEach(() => {
  output = mkdtempSync(join(tmpdir(), 'sluice-verify-'))
})
afterEach(() => rmSync(output, { recursive: true, force: true }))

interface Lines {
  enriched: object[]
  totals: { customer: string; orders: number; cents: number }[]
}

function perfect(): Lines {
  const lines: Lines = { enriched: [], totals: [] }
  for (let index = 0; index < COUNT; index += 1) {
    const order = orderAt(SEED, index)
    const cents = order.lines.map((line) => line.cents * line.quantity).reduce((a, b) => a + b)
    lines.enriched.push({ ...order, cents, size: cents < 20_000 ? 'small' : 'large' })
    if (order.status !== 'paid') continue
    const before = lines.totals.findLast((one) => one.customer === order.customer)
    lines.totals.push({
      customer: order.customer,
      orders: (before?.orders ?? 0) + 1,
      cents: (before?.cents ?? 0) + cents,
    })
  }
  return lines
}

async function judge(lines: Lines, isComplete = true): Promise<readonly string[]> {
  for (const [sink, all] of Object.entries(lines) as readonly (readonly [string, readonly object[]])[]) {
    mkdirSync(join(output, sink), { recursive: true })
    writeFileSync(
      join(output, sink, '1.ndjson'),
      all
        .slice(0, 90)
        .map((one) => `${JSON.stringify(one)}\n`)
        .join(''),
    )
    writeFileSync(
      join(output, sink, '2.ndjson'),
      all
        .slice(90)
        .map((one) => `${JSON.stringify(one)}\n`)
        .join(''),
    )
  }
  return (await verify(output, expectedOf(SEED, COUNT), isComplete)).problems
}

test('the checker accepts what is right, and a part of it while the job runs', async () => {
  expect(await judge(perfect())).toEqual([])
  const part = perfect()
  part.enriched.splice(120)
  part.totals.splice(70)
  expect(await judge(part, false)).toEqual([])
  expect(await judge(part, true)).not.toEqual([])
})

test.each<[string, (lines: Lines) => unknown]>([
  ['an order twice', ({ enriched }) => enriched.splice(50, 0, enriched[50] ?? {})],
  ['an order missing', ({ enriched }) => enriched.splice(50, 1)],
  ['the last order missing', ({ enriched }) => enriched.pop()],
  ['two orders exchanged', ({ enriched }) => enriched.splice(50, 2, ...enriched.slice(50, 52).toReversed())],
  ['an order changed', ({ enriched }) => Object.assign(enriched[50] ?? {}, { cents: 1 })],
  ['a total twice', ({ totals }) => totals.splice(50, 0, { ...(totals[50] ?? { customer: '', orders: 0, cents: 0 }) })],
  ['a total missing', ({ totals }) => totals.splice(50, 1)],
  ['the last total missing', ({ totals }) => totals.pop()],
  ['a sum that is wrong', ({ totals }) => Object.assign(totals[50] ?? {}, { cents: 1 })],
  ['a customer nobody knows', ({ totals }) => totals.push({ customer: 'c-x', orders: 1, cents: 1 })],
])('the checker catches %s', async (_, spoil) => {
  const lines = perfect()
  spoil(lines)
  expect(await judge(lines)).not.toEqual([])
})

test('the checker catches a hidden file that was left', async () => {
  mkdirSync(join(output, 'totals'), { recursive: true })
  writeFileSync(join(output, 'totals', '.part'), '')
  expect(await judge(perfect())).toEqual([expect.stringMatching(/1 hidden files left, like \.part/)])
})
