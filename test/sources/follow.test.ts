/** Files that grow while they are read: whole lines once and in order, and nothing silently lost when one is truncated, rewritten or rotated. */
import {
  appendFileSync,
  linkSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { json, lines, RetryableError, TerminalError } from '../../engine/api/index.ts'
import { badLines, csv, fileSource, type FilePosition, type FileSplit } from '../../sources/file/source.ts'
import { contextIn } from '../conformance/source-run.ts'
import { nothingFound, pollUntil, readFiles, START, type Files, type FoundInFiles } from './read-files.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-follow-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const pathOf = (name: string): string => join(directory, name)
const write = (name: string, text: string): void => writeFileSync(pathOf(name), text)
const append = (name: string, text: string): void => appendFileSync(pathOf(name), text)
const open = (path: string, blockBytes = 64): Files<string> =>
  fileSource({ path, decode: lines(), follow: true, blockBytes })

interface Following<T> extends AsyncDisposable {
  readonly found: FoundInFiles<T>
  add(splits: readonly (FileSplit | undefined)[]): Promise<void>
  /** Polls until there are so many values in all. */
  until(values: number): Promise<void>
  /** Polls until the source has nothing new, twice, and a look at each file in between. */
  idle(): Promise<void>
}

async function follow<T>(
  source: Files<T>,
  names: readonly string[],
  from?: Map<string, FilePosition>,
): Promise<Following<T>> {
  const reader = await source.createReader(contextIn(directory))
  await reader.assign(names.map((id) => ({ split: { id }, position: from?.get(id) ?? START })))
  const found = nothingFound<T>()
  return {
    found,
    until: (values) => pollUntil(reader, found, (soFar) => soFar.values.length >= values),
    add: (splits) =>
      reader.addSplits?.(splits.flatMap((split) => (split === undefined ? [] : [{ split, position: START }]))) ??
      Promise.reject(new Error('no addSplits')),
    idle: async () => {
      const before = performance.now()
      await pollUntil(reader, found, () => performance.now() - before > 250)
    },
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  }
}

describe('what is appended', () => {
  test('comes as whole lines, and a last line waits until it is whole', async () => {
    write('f', 'one\ntw')
    await using job = await follow(open('f'), ['f'])
    await job.idle()
    expect(job.found.values).toEqual(['one'])
    expect(job.found.positions.get('f')?.byte).toBe(4)
    append('f', 'o')
    await job.idle()
    expect(job.found.values).toEqual(['one'])
    append('f', '\nthree\n')
    await job.until(3)
    expect(job.found.values).toEqual(['one', 'two', 'three'])
    expect(job.found.ended).toEqual([])
  })

  test('to several files comes in order of each, none waits for another', async () => {
    for (const name of ['a', 'b', 'c']) write(name, '')
    write('a', Array.from({ length: 5_000 }, (_, index) => `a${index}\n`).join(''))
    await using job = await follow(open('.'), ['a', 'b', 'c'])
    append('b', 'b0\n')
    await job.until(200)
    expect(job.found.values).toContain('b0')
    for (let round = 0; round < 20; round += 1) {
      for (const name of ['b', 'c']) append(name, `${name}${round + 1}\n`)
      await job.until(job.found.values.length + 1)
    }
    await job.until(5_041)
    for (const [name, first, count] of [
      ['a', 0, 5_000],
      ['b', 0, 21],
      ['c', 1, 20],
    ] as const) {
      const mine = job.found.values.filter((value) => value.startsWith(name))
      expect(mine).toEqual(Array.from({ length: count }, (_, index) => `${name}${index + first}`))
    }
  })

  test('a line longer than many reads is not waited for between reads', async () => {
    const long = 'x'.repeat(200_000)
    write('f', `${long}\nend\n`)
    const before = performance.now()
    await using job = await follow(open('f', 1_000), ['f'])
    await job.until(2)
    expect(job.found.values).toEqual([long, 'end'])
    // 200 reads with a pause each would take 20 s.
    expect(performance.now() - before).toBeLessThan(5_000)
  })

  test('is read on from every position, killed wherever, each line once', async () => {
    write('f', '')
    const expected: string[] = []
    const kept: string[] = []
    let from = new Map<string, FilePosition>()
    for (let round = 0; round < 12; round += 1) {
      append('f', `${round} a\n${round} b\n${round} half`)
      expected.push(`${round} a`, `${round} b`)
      await using job = await follow(open('f', 1 + round * 3), ['f'], from)
      await job.until(2)
      append('f', ' whole\n')
      expected.push(`${round} half whole`)
      if (round % 2 === 0) await job.until(3)
      kept.push(...job.found.values)
      from = job.found.positions
    }
    await using job = await follow(open('f'), ['f'], from)
    await job.until(expected.length - kept.length)
    expect([...kept, ...job.found.values]).toEqual(expected)
  })

  test('bad lines go their way, and a bad line that is half written is not one yet', async () => {
    write('f', '{"n":1}\n{"n"')
    const source = fileSource({ path: 'f', decode: json(), follow: true, onBadLine: 'side' })
    await using job = await follow(source, ['f'])
    await job.idle()
    append('f', ':2}\nbad\n{"n":3}\n')
    await job.until(3)
    expect(job.found.values).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(job.found.sides[badLines.name]).toMatchObject([{ path: 'f', byte: 16, text: 'bad' }])
  })

  test('of CSV: the header is waited for, a mark before it too, and records with line ends', async () => {
    write('f', '')
    const source = fileSource({ path: 'f', decode: csv(), follow: true })
    await using job = await follow(source, ['f'])
    const whole = Buffer.from('\ufeffname,note\nAda,"two\nlines"\nBob,x\n')
    for (const [from, to] of [
      [0, 2],
      [2, 8],
      [8, 13],
      [13, 22],
    ] as const) {
      appendFileSync(pathOf('f'), whole.subarray(from, to))
      await job.idle()
      expect(job.found.values).toEqual([])
    }
    appendFileSync(pathOf('f'), whole.subarray(22))
    await job.until(2)
    expect(job.found.values).toEqual([
      { name: 'Ada', note: 'two\nlines' },
      { name: 'Bob', note: 'x' },
    ])
    await using again = await follow(source, ['f'], new Map([['f', job.found.positions.get('f') ?? START]]))
    append('f', 'Cyd,y\n')
    await again.until(1)
    expect(again.found.values).toEqual([{ name: 'Cyd', note: 'y' }])
  })
})

describe('a followed file that is not what it was (F20)', () => {
  const text = 'one\ntwo\nthree\n'

  test.each<[string, () => void, RegExp]>([
    ['truncated', () => truncateSync(pathOf('f'), 4), /f has 4 bytes, but it was read up to byte 14/],
    [
      'truncated and grown beyond the position at once',
      () => writeFileSync(pathOf('f'), 'another beginning, and longer than before\n'),
      /begins otherwise/,
    ],
    [
      'rewritten in place, at the same length',
      () => writeFileSync(pathOf('f'), text.replace('three', 'THREE'), { flag: 'r+' }),
      /rewritten/,
    ],
  ])('%s: is an error that names it', async (_, change, message) => {
    write('f', text)
    await using job = await follow(open('f'), ['f'])
    await job.until(3)
    await job.idle()
    change()
    await expect(job.until(4)).rejects.toThrow(TerminalError)
    await expect(job.until(4)).rejects.toThrow(message)
    expect(job.found.values).toEqual(['one', 'two', 'three'])
  })

  test('that began with little is known by all of its beginning later', async () => {
    write('f', 'a\n')
    await using job = await follow(open('f'), ['f'])
    await job.until(1)
    for (let line = 0; line < 30; line += 1) append('f', `${'x'.repeat(60)} ${line}\n`)
    await job.until(31)
    const from = job.found.positions
    const text = ['a', ...Array.from({ length: 30 }, (_, line) => `${'x'.repeat(60)} ${line}`), ''].join('\n')
    // Neither its first line nor the last kibibyte.
    write('f', text.replace('x 2\n', 'y 2\n'))
    await using next = await follow(open('f'), ['f'], from)
    await expect(next.until(1)).rejects.toThrow(/begins otherwise/)
  })

  test.each<[string, () => void]>([
    [
      'rotated',
      () => {
        renameSync(pathOf('f'), pathOf('f.1'))
        write('f', 'of another file\n')
      },
    ],
    ['renamed away', () => renameSync(pathOf('f'), pathOf('f.1'))],
    ['removed', () => unlinkSync(pathOf('f'))],
  ])('%s: what it has is read to its end, then it is an error that says what to do', async (_, change) => {
    write('f', text)
    await using job = await follow(open('f'), ['f'])
    await job.until(3)
    append('f', 'four\nfive\n')
    change()
    const failed = job.until(6)
    await expect(failed).rejects.toThrow(TerminalError)
    await expect(failed).rejects.toThrow(/f was renamed or removed while .* to its end, byte 24. Bring it back/)
    expect(job.found.values).toEqual(['one', 'two', 'three', 'four', 'five'])
  })

  test('brought back under its name it is read on from the last position', async () => {
    write('f', text)
    await using job = await follow(open('f'), ['f'])
    await job.until(3)
    renameSync(pathOf('f'), pathOf('f.1'))
    write('f', 'of another file\n')
    appendFileSync(pathOf('f.1'), 'late\n')
    await expect(job.until(5)).rejects.toThrow(/renamed or removed/)
    expect(job.found.values).toEqual(['one', 'two', 'three', 'late'])
    await expect(readFiles(open('f'), directory, { from: job.found.positions })).rejects.toThrow(
      /f has 16 bytes, but it was read up to byte 19/,
    )
    renameSync(pathOf('f'), pathOf('g'))
    renameSync(pathOf('f.1'), pathOf('f'))
    await using next = await follow(open('?'), ['f', 'g'], job.found.positions)
    append('f', 'later\n')
    await next.until(2)
    expect(next.found.values.toSorted()).toEqual(['later', 'of another file'])
  })
})

describe('new files', () => {
  const discover = async (known: readonly FileSplit[], path = '*'): Promise<readonly FileSplit[]> => {
    const found = await open(path).discover({ ...contextIn(directory), isFirst: false }, known)
    for (const { start } of found) expect(start).toEqual(START)
    return found.map(({ split }) => split)
  }

  test('are found at the next start and read from their beginning (F32)', async () => {
    write('b', 'b1\n')
    const first = await readFiles(open('*'), directory, { until: (found) => found.values.length === 1 })
    write('a', 'a1\n')
    append('b', 'b2\n')
    const second = await readFiles(open('*'), directory, {
      from: first.positions,
      until: (found) => found.values.length === 2,
    })
    expect(second.values.toSorted()).toEqual(['a1', 'b2'])
  })

  test('join those that are followed, whenever they come (F32)', async () => {
    write('b', 'b0\n')
    await using job = await follow(open('*'), ['b'])
    await job.until(1)
    const known = await discover([{ id: 'b' }])
    expect(known).toEqual([{ id: 'b' }])
    write('a', 'a0\na1')
    write('c', '')
    const [a, b, c] = await discover(known)
    expect([a?.id, b?.id, c?.id]).toEqual(['a', 'b', 'c'])
    await job.add([a, c])
    append('a', '\na2\n')
    append('b', 'b1\n')
    append('c', 'c0\n')
    await job.until(6)
    expect(job.found.values.toSorted()).toEqual(['a0', 'a1', 'a2', 'b0', 'b1', 'c0'])
    expect(job.found.values.filter((value) => value.startsWith('a'))).toEqual(['a0', 'a1', 'a2'])
  })

  test('that are renamed to another name that matches are an error before they are read twice', async () => {
    write('f', 'one\n')
    const known = await discover([])
    renameSync(pathOf('f'), pathOf('f.1'))
    write('f', 'of another file\n')
    await expect(discover(known)).rejects.toThrow(TerminalError)
    await expect(discover(known)).rejects.toThrow(/f\.1 is the file that is followed as f: it was renamed/)
    unlinkSync(pathOf('f'))
    await expect(discover(known)).rejects.toThrow(/f\.1 is the file/)
    renameSync(pathOf('f.1'), pathOf('f'))
    expect(await discover(known)).toEqual(known)
    linkSync(pathOf('f'), pathOf('f.1'))
    await expect(discover(known)).rejects.toThrow(/has a second name now/)
  })

  test('that get the inode of one that is gone are new', async () => {
    write('f', 'one\n')
    const known = await discover([])
    unlinkSync(pathOf('f'))
    for (let index = 0; index < 20; index += 1) write(`g${index}`, '')
    expect((await discover(known)).length).toBe(21)
  })

  test('may come and go while names are listed; a link that leads nowhere is told', async () => {
    let isOver = false
    const coming = (async () => {
      for (let index = 0; !isOver; index += 1) {
        await writeFile(pathOf(`t${index % 7}`), '')
        await unlink(pathOf(`t${index % 7}`))
      }
    })()
    for (let index = 0; index < 150; index += 1) await discover([], index % 2 === 0 ? '*' : '.')
    isOver = true
    await coming
    symlinkSync('nowhere', pathOf('link'))
    await expect(discover([])).rejects.toThrow(RetryableError)
    await expect(discover([])).rejects.toThrow(/cannot read .*link/)
    await expect(open('*').validate(contextIn(directory))).rejects.toThrow(TerminalError)
  })

  test('need not be there at the first start, where a directory or a glob is followed', async () => {
    for (const path of ['.', '*.log']) {
      await open(path).validate(contextIn(directory))
      expect(await discover([], path)).toEqual([])
    }
    await expect(open('app.log').validate(contextIn(directory))).rejects.toThrow(/no file matches "app\.log"/)
    const bounded = fileSource({ path: '*.log', decode: lines() })
    await expect(bounded.validate(contextIn(directory))).rejects.toThrow(/no file matches/)
    expect(bounded.discoverEveryMs).toBe(undefined)
    expect(open('*').discoverEveryMs).toBe(1_000)
    expect(() => fileSource({ path: '*', decode: lines(), discoverEveryMs: 5 })).toThrow(/set follow: true/)
  })
})

test('compressed files and too many are refused', async () => {
  write('f', 'x\n')
  writeFileSync(pathOf('g.gz'), gzipSync('x\n'))
  await expect(open('.').validate(contextIn(directory))).rejects.toThrow(/g\.gz is compressed, and cannot be followed/)
  // It came between the look at the names and the start.
  await using late = await follow(open('.'), ['f', 'g.gz'])
  await expect(late.until(2)).rejects.toThrow(/g\.gz is compressed/)
  const reader = await open('f').createReader(contextIn(directory))
  const splits = Array.from({ length: 1_001 }, (_, index) => ({ split: { id: String(index) }, position: START }))
  await expect(reader.assign(splits)).rejects.toThrow(/1001 files are to be followed by one subtask, 1000 can be/)
})
