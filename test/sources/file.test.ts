import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { json, lines, TerminalError, type Source } from '../../engine/api/index.ts'
import { fileSource, type FilePosition, type FileSplit } from '../../sources/file/source.ts'
import { contextIn } from '../conformance/source-run.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-file-source-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const never = new AbortController().signal
type Files<T> = Source<T, FileSplit, FilePosition>

function write(name: string, text: string | Buffer): void {
  writeFileSync(join(directory, name), text)
}

interface ReadSoFar<T> {
  readonly values: T[]
  readonly positions: Map<string, FilePosition>
  readonly ended: string[]
  skipped: number
}

/** Reads on from `from`, at most `batches` batches. */
async function read<T>(
  source: Files<T>,
  from?: ReadonlyMap<string, FilePosition>,
  batches = Infinity,
): Promise<ReadSoFar<T>> {
  const context = contextIn(directory)
  await source.validate(context)
  const splits = await source.discover(
    context,
    [...(from?.keys() ?? [])].map((id) => ({ id })),
  )
  await using reader = await source.createReader(context)
  await reader.assign(splits.map(({ split, start }) => ({ split, position: from?.get(split.id) ?? start })))
  const found: ReadSoFar<T> = { values: [], positions: new Map(), ended: [], skipped: 0 }
  for (let taken = 0; taken < batches;) {
    const polled = await reader.poll(never)
    if (polled.kind === 'ended') break
    if (polled.kind === 'split-ended') found.ended.push(polled.split.id)
    if (polled.kind !== 'records') continue
    taken += 1
    found.values.push(...polled.records.values)
    found.skipped += polled.records.skipped ?? 0
    found.positions.set(polled.split.id, polled.after)
  }
  return found
}

describe('which files', () => {
  const all = (path: string): Files<string> => fileSource({ path, decode: lines() })

  test('a directory: its files in path order, hidden ones and subdirectories left out', async () => {
    for (const name of ['b', 'a', 'c10', 'c9', '.hidden']) write(name, `${name}\n`)
    mkdirSync(join(directory, 'sub'))
    write('sub/d', 'd\n')
    const found = await read(all('.'))
    expect(found.values).toEqual(['a', 'b', 'c10', 'c9'])
    expect(found.ended).toEqual(['a', 'b', 'c10', 'c9'])
  })

  test('a glob, a file, and a name that only looks like a glob', async () => {
    mkdirSync(join(directory, '[in]'))
    for (const name of ['x.jsonl', 'y.jsonl', 'z.txt', '[in]/w.jsonl']) write(name, `${name}\n`)
    expect((await read(all('*.jsonl'))).values).toEqual(['x.jsonl', 'y.jsonl'])
    expect((await read(all('**/*.jsonl'))).values).toEqual(['[in]/w.jsonl', 'x.jsonl', 'y.jsonl'])
    expect((await read(all('z.txt'))).values).toEqual(['z.txt'])
    expect((await read(all('[in]'))).ended).toEqual(['[in]/w.jsonl'])
    expect((await read(all(join(directory, 'z.txt')))).ended).toEqual(['z.txt'])
  })

  test('none at all is refused before the job starts', async () => {
    await expect(all('*.csv').validate(contextIn(directory))).rejects.toThrow(/no file matches "\*\.csv"/)
  })

  test('files that appear between two starts are read from their beginning (F32)', async () => {
    write('b', 'b1\nb2\n')
    const first = await read(all('.'))
    write('a', 'a1\n')
    write('c', 'c1\n')
    const second = await read(all('.'), first.positions)
    expect(second.values).toEqual(['a1', 'c1'])
    expect(second.ended).toEqual(['a', 'b', 'c'])
  })
})

describe('what is read', () => {
  test('every line once, whatever the size of a read, with positions at line ends', async () => {
    const anyText = fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '😀', '{', ' x') }), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(
        anyText,
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        fc.constantFrom('\n', '\r\n'),
        async (texts, blockBytes, isEnded, eol) => {
          const bytes = Buffer.from(texts.join(eol) + (isEnded ? eol : ''))
          write('f', bytes)
          const source = fileSource({ path: 'f', decode: lines(), blockBytes })
          const found = await read(source)
          expect(found.values).toEqual(texts.filter((text) => text.trim() !== ''))
          expect(found.positions.get('f')?.byte ?? 0).toBe(bytes.length)
          for (let batches = 1; batches < 4; batches += 1) {
            const part = await read(source, undefined, batches)
            const rest = await read(source, part.positions)
            expect([...part.values, ...rest.values]).toEqual(found.values)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('what lies ready is answered without a promise', async () => {
    write('f', 'x\n'.repeat(1_000))
    const source = fileSource({ path: 'f', decode: lines(), blockBytes: 100 })
    await using reader = await source.createReader(contextIn(directory))
    await reader.assign([{ split: { id: 'f' }, position: { byte: 0, head: '', tail: '' } }])
    let ready = 0
    for (let polls = 0; polls < 30; polls += 1) {
      const answer = reader.poll(never)
      if (!(answer instanceof Promise)) ready += 1
      await answer
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
    expect(ready).toBeGreaterThan(0)
  })

  test('event times are given with the records, and one that is none names its place', async () => {
    write('f', '{"at":5}\n{"at":7}\n')
    const timed = fileSource({ path: 'f', decode: json<{ at: number }>(), timestamp: ({ at }) => at })
    await using reader = await timed.createReader(contextIn(directory))
    await reader.assign([{ split: { id: 'f' }, position: { byte: 0, head: '', tail: '' } }])
    const polled = await reader.poll(never)
    expect(polled.kind === 'records' ? [...(polled.records.timestamps ?? [])] : polled.kind).toEqual([5, 7])
    const none = fileSource({ path: 'f', decode: json<{ at: number }>(), timestamp: () => Number.NaN })
    await expect(read(none)).rejects.toThrow(/^f, record 1 from byte 0 on: its timestamp is NaN: \{"at":5\}/)
  })

  test('a size of reads that is none is refused', () => {
    expect(() => fileSource({ path: 'f', decode: lines(), blockBytes: 0 })).toThrow(TerminalError)
  })
})

describe('bad lines', () => {
  const text = '{"n":1}\n{"n":2}\n{"n":\n{"n":4}\n'

  test.each([1, 9, 100])(
    'fail: the job stops at the line and names file, byte and cure (reads of %i bytes)',
    async (blockBytes) => {
      write('f', text)
      const failed = read(fileSource({ path: 'f', decode: json(), blockBytes }))
      await expect(failed).rejects.toThrow(TerminalError)
      await expect(failed).rejects.toThrow(/^f, byte 16: .*"\{\\"n\\":".*onBadLine: 'skip'/)
    },
  )

  test('fail: goes on failing, and never passes over the line', async () => {
    write('f', text)
    await using reader = await fileSource({ path: 'f', decode: json() }).createReader(contextIn(directory))
    await reader.assign([{ split: { id: 'f' }, position: { byte: 0, head: '', tail: '' } }])
    for (let polls = 0; polls < 3; polls += 1) {
      await expect((async () => await reader.poll(never))()).rejects.toThrow(/byte 16/)
    }
  })

  test('skip: they are counted', async () => {
    write('f', text)
    const found = await read(fileSource({ path: 'f', decode: json(), onBadLine: 'skip', blockBytes: 9 }))
    expect(found.values).toEqual([{ n: 1 }, { n: 2 }, { n: 4 }])
    expect(found.skipped).toBe(1)
  })

  test('skip: the log names the first of a file, and how many there were at its end', async () => {
    write('f', `${text}nonsense\n{}\n[`)
    write('g', text)
    const told: string[] = []
    const logger = { ...contextIn(directory).logger, warn: (message: string) => void told.push(message) }
    const source = fileSource({ path: '*', decode: json(), onBadLine: 'skip', blockBytes: 9 })
    await using reader = await source.createReader({ ...contextIn(directory), logger })
    await reader.assign(['f', 'g'].map((id) => ({ split: { id }, position: { byte: 0, head: '', tail: '' } })))
    for (let polled = await reader.poll(never); polled.kind !== 'ended'; polled = await reader.poll(never)) continue
    expect(told).toEqual([
      expect.stringMatching(/^f, byte 16: .*"\{\\"n\\":": skipped$/),
      'f: 3 bad lines were skipped',
      expect.stringMatching(/^g, byte 16: .*: skipped$/),
    ])
  })
})

describe('a file that is not what it was (F20)', () => {
  const source = (): Files<string> => fileSource({ path: '*', decode: lines(), blockBytes: 16 })
  const text = Array.from({ length: 20 }, (_, index) => `line ${index + 10}\n`).join('')

  async function halfRead(): Promise<ReadSoFar<string>> {
    write('f', text)
    write('g', 'other\n')
    const part = await read(source(), undefined, 6)
    expect(part.positions.get('f')?.byte).toBeGreaterThan(40)
    expect(part.positions.get('f')?.byte).toBeLessThan(text.length)
    return part
  }

  test.each([
    [
      'was truncated',
      () => truncateSync(join(directory, 'f'), 30),
      /f has 30 bytes, but it was read up to byte \d+: .*bytes 30 to \d+ are missing/,
    ],
    [
      'is gone',
      () => unlinkSync(join(directory, 'f')),
      /cannot read .*f, of which \d+ bytes were read before: .*ENOENT/,
    ],
    ['begins otherwise', () => write('f', `X${text.slice(1)}`), /begins otherwise/],
    [
      'begins the same and was rewritten',
      () => write('f', text.slice(0, 16) + text.slice(16).replaceAll('line', 'LINE')),
      /holds other bytes/,
    ],
  ])('%s: is an error that names it', async (_, change, message) => {
    const part = await halfRead()
    change()
    const failed = read(source(), part.positions)
    await expect(failed).rejects.toThrow(TerminalError)
    await expect(failed).rejects.toThrow(message)
  })

  test.each<[string, (path: string) => void, RegExp]>([
    ['cut short', (path) => truncateSync(path, 30), /f has 30 bytes, but it was read up to byte \d+/],
    [
      'rewritten in place, at the same length',
      (path) => writeFileSync(path, `X${text.slice(1)}`, { flag: 'r+' }),
      /begins otherwise/,
    ],
    ['replaced by a shorter one at once', (path) => writeFileSync(path, 'new\n'), /f has 4 bytes/],
  ])('%s while it is being read: is an error, not an early end', async (_, change, message) => {
    write('f', text)
    await using reader = await source().createReader(contextIn(directory))
    await reader.assign([{ split: { id: 'f' }, position: { byte: 0, head: '', tail: '' } }])
    await reader.poll(never)
    await reader.poll(never)
    change(join(directory, 'f'))
    const rest = async (): Promise<string> => {
      for (;;) {
        const { kind } = await reader.poll(never)
        if (kind !== 'records') return kind
      }
    }
    await expect(rest()).rejects.toThrow(TerminalError)
    await expect(rest()).rejects.toThrow(message)
  })

  test('replaced by a rename while it is being read: what was opened is read to its end, the rest is checked at the next start', async () => {
    write('f', text)
    write('new', `X${text.slice(1)}`)
    const source16 = fileSource({ path: 'f', decode: lines(), blockBytes: 16 })
    await using reader = await source16.createReader(contextIn(directory))
    await reader.assign([{ split: { id: 'f' }, position: { byte: 0, head: '', tail: '' } }])
    const values: string[] = []
    let position: FilePosition | undefined
    for (let polled = await reader.poll(never); polled.kind !== 'ended'; polled = await reader.poll(never)) {
      if (polled.kind !== 'records') continue
      values.push(...polled.records.values)
      position = polled.after
      renameSync(join(directory, 'new'), join(directory, 'f'))
      write('new', `X${text.slice(1)}`)
    }
    expect(values).toEqual(text.trim().split('\n'))
    expect(position?.byte).toBe(text.length)
    await expect(read(source16, new Map([['f', position ?? { byte: 0, head: '', tail: '' }]]))).rejects.toThrow(
      /begins otherwise/,
    )
  })

  test('copied back from elsewhere, or grown by whole lines: is read on', async () => {
    const part = await halfRead()
    mkdirSync(join(directory, 'copies'))
    copyFileSync(join(directory, 'f'), join(directory, 'copies', 'f'))
    unlinkSync(join(directory, 'f'))
    copyFileSync(join(directory, 'copies', 'f'), join(directory, 'f'))
    appendFileSync(join(directory, 'f'), 'line 30\n')
    const rest = await read(source(), part.positions)
    expect([...part.values, ...rest.values].slice(0, 21)).toEqual([...text.trim().split('\n'), 'line 30'])
  })

  test('a last line without its end that goes on later: is an error, as it was taken for whole', async () => {
    write('f', 'one\ntw')
    const part = await read(source())
    expect(part.values).toEqual(['one', 'tw'])
    expect((await read(source(), part.positions)).values).toEqual([])
    appendFileSync(join(directory, 'f'), 'o\n')
    await expect(read(source(), part.positions)).rejects.toThrow(/its last line was not whole/)
  })
})
