/** What the demo's reader can tell, and its picture at any width: each check is shown what it must not take. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CheckpointLog } from '../../examples/demo/checkpoint-log.ts'
import { createPaint } from '../../examples/demo/paint.ts'
import { pictureOf } from '../../examples/demo/picture.ts'
import { Reader } from '../../examples/demo/reader.ts'
import { TimelineFold } from '../../examples/demo/timeline.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-reader-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function write(file: string, text: string): void {
  mkdirSync(join(directory, dirname(file)), { recursive: true })
  writeFileSync(join(directory, file), text)
}

function show(file: string, ...records: readonly object[]): void {
  write(`out/${file}`, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}

/** Entry `seq` of the log says that a checkpoint with these files has completed. */
function complete(seq: number, files: readonly string[], kind = 'completed'): void {
  const committables = files.map((visible) => ({ bytes: Buffer.from(JSON.stringify({ visible })).toString('base64') }))
  const retained = [{ checkpoint: seq, inline: { operators: [{ committables }] } }]
  write(`.sluice/orders/log/${String(seq).padStart(12, '0')}`, `sum\n${JSON.stringify({ kind, retained })}`)
}

function readerHere(): Reader {
  return new Reader(join(directory, 'out'), new CheckpointLog(join(directory, '.sluice'), 'orders'))
}

const order = (id: string, customer: string): object => ({ id, customer })
const total = (customer: string, orders: number, cents: number): object => ({ customer, orders, cents })

describe('the reader', () => {
  test('takes what a completed checkpoint has confirmed, once', () => {
    const reader = readerHere()
    expect(reader.look()).toEqual({ seen: [], wrong: [] })
    complete(1, ['a'])
    show('enriched/a', order('1', 'x'), order('2', 'y'))
    expect(reader.look()).toEqual({ seen: [{ sink: 'enriched', file: 'a', checkpoint: 1, records: 2 }], wrong: [] })
    expect(reader.look()).toEqual({ seen: [], wrong: [] })
    complete(2, ['b'])
    show('totals/b', total('x', 1, 5), total('x', 2, 9))
    expect(reader.finish()).toEqual({ seen: [{ sink: 'totals', file: 'b', checkpoint: 2, records: 2 }], wrong: [] })
  })

  test('finds what is visible before its checkpoint has completed, and says so once (C1)', () => {
    const reader = readerHere()
    complete(1, ['a'], 'alive')
    show('enriched/a', order('1', 'x'))
    expect(reader.look().wrong).toEqual(['a is visible with 1 records, and no completed checkpoint has confirmed it'])
    expect(reader.look().wrong).toEqual([])
    complete(2, ['a'])
    expect(reader.look()).toMatchObject({ seen: [{ file: 'a', checkpoint: 2 }], wrong: [] })
  })

  test.each<[string, readonly [string, ...object[]], RegExp]>([
    ['an order twice', ['enriched', order('2', 'x'), order('1', 'y'), order('2', 'x')], /order 2 came twice/],
    ['orders of a customer exchanged', ['enriched', order('2', 'x'), order('1', 'x')], /order 1 of x came after 2/],
    ['a total twice', ['totals', total('x', 1, 5), total('x', 1, 5)], /total 1 of x came after total 1/],
    ['a total left out', ['totals', total('x', 1, 5), total('x', 3, 9)], /total 3 of x came after total 1/],
    [
      'a total that shrinks',
      ['totals', total('x', 1, 5), total('x', 2, 4)],
      /total 2 of x is 4 cents, the one before 5/,
    ],
  ])('finds %s', (_, [sink, ...records], problem) => {
    complete(1, ['a'])
    show(`${sink}/a`, ...records)
    expect(readerHere().look().wrong).toEqual([expect.stringMatching(problem)])
  })

  test('finds at the end what was changed without a trace, and what is left hidden', () => {
    const reader = readerHere()
    complete(1, ['a'])
    show('enriched/a', order('1', 'x'), order('2', 'x'))
    reader.look()
    show('enriched/a', order('1', 'x'), order('3', 'x'))
    show('totals/.left')
    expect(reader.finish().wrong).toEqual([
      'a was changed after it had been seen: it had 2 records and has 2, line 2 is now {"id":"3","customer":"x"}',
      '1 hidden files are left, like .left',
    ])
  })
})

const plain = createPaint(false)

function threeLives(): TimelineFold {
  const fold = new TimelineFold()
  for (let life = 0; life < 3; life += 1) {
    const atMs = 1_000_000 + life * 2_000
    fold.take({ kind: 'spawned', atMs })
    fold.take({ kind: 'running', atMs: atMs + 300, restored: null })
    fold.take({ kind: 'completed', atMs: atMs + 480, checkpoint: life })
    fold.take({ kind: 'seen', atMs: atMs + 500, sink: 'enriched', records: 1_000 })
    fold.take({ kind: 'over', atMs: atMs + 1_500, how: life === 2 ? 'finished' : 'killed' })
  }
  return fold
}

describe('the picture', () => {
  test('has a row per life', () => {
    const { timeline } = threeLives()
    const frame = { timeline, written: 4_000, records: 6_000, nowMs: 1_009_000, width: 80, height: 24, paint: plain }
    expect(pictureOf(frame)).toEqual([
      `life${' '.repeat(42)}recovery  checkpoints     visible`,
      `  1  ░░░░◆━━━━━━━━━━✗${' '.repeat(27)}0.50 s            1       1,000`,
      `  2  ░░░░◆━━━━━━━━━━✗${' '.repeat(27)}0.50 s            1       2,000`,
      `  3  ░░░░◆━━━━━━━━━━✓${' '.repeat(27)}0.50 s            1       3,000`,
      '',
      `     ${'█'.repeat(20)}${'▒'.repeat(7)}${'·'.repeat(12)}  3,000 visible, 1,000 on their way`,
      '     ░ starting  ━ running  ◆ checkpoint  ✗ SIGKILL  ■ stopped  ✓ finished',
    ])
  })

  test.each([60, 80, 100, 240])('fits into %i columns, however long a life is', (width) => {
    const fold = threeLives()
    fold.take({ kind: 'spawned', atMs: 1_010_000 })
    const { timeline } = fold
    const frame = { timeline, written: 4_000, records: 6_000, nowMs: 1_100_000, width, height: 24, paint: plain }
    for (const line of pictureOf(frame)) expect(line.length).toBeLessThan(width)
  })

  test('fits into few rows: the newest lives stay', () => {
    const { timeline } = threeLives()
    const frame = { timeline, written: 4_000, records: 6_000, nowMs: 1_009_000, width: 80, height: 8, paint: plain }
    const lines = pictureOf(frame)
    expect(lines.length).toBeLessThanOrEqual(8)
    expect(lines.join('\n')).toMatch(/^ {2}2 {2}░/m)
    expect(lines.join('\n')).not.toMatch(/^ {2}1 {2}░/m)
  })
})
