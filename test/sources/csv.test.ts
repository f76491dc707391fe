/** CSV through the file source: the same records wherever reading begins and however the file is cut, each bad line at its own byte. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { TerminalError } from '../../engine/api/index.ts'
import { csv, fileSource, type FileFormat, type FilePosition } from '../../sources/file/source.ts'
import { contextIn } from '../conformance/source-run.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-csv-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const never = new AbortController().signal
const START: FilePosition = { byte: 0, head: '', tail: '' }

interface Found {
  readonly values: unknown[]
  skipped: number
  position: FilePosition
  readonly positions: FilePosition[]
}
interface Way {
  readonly from?: FilePosition
  readonly batches?: number
  readonly blockBytes?: number
  readonly onBadLine?: 'fail' | 'skip'
}

async function read(text: string | Buffer, format: FileFormat<unknown> = csv(), way: Way = {}): Promise<Found> {
  writeFileSync(join(directory, 'f.csv'), text)
  return readOn(format, way)
}

async function readOn(format: FileFormat<unknown>, way: Way = {}): Promise<Found> {
  const { blockBytes = 1_000, onBadLine = 'fail', batches = Infinity } = way
  const source = fileSource({ path: 'f.csv', decode: format, blockBytes, onBadLine })
  await using reader = await source.createReader(contextIn(directory))
  await reader.assign([{ split: { id: 'f.csv' }, position: way.from ?? START }])
  const found: Found = { values: [], skipped: 0, position: way.from ?? START, positions: [] }
  while (found.positions.length < batches) {
    const polled = await reader.poll(never)
    if (polled.kind === 'ended') break
    if (polled.kind !== 'records') continue
    found.values.push(...polled.records.values)
    found.skipped += polled.records.skipped ?? 0
    found.position = polled.after
    found.positions.push(polled.after)
  }
  return found
}

describe('what is read', () => {
  test('records by the names of the header, fields in quotes with delimiters, quotes and line ends', async () => {
    const text = 'name,note\r\nAda,"a ""quote"", and\r\ntwo lines"\r\n\r\nBob,\r\n"",x y'
    expect((await read(text)).values).toEqual([
      { name: 'Ada', note: 'a "quote", and\r\ntwo lines' },
      { name: 'Bob', note: '' },
      { name: '', note: 'x y' },
    ])
  })

  test('named columns mean that the first record is one; another delimiter; a byte order mark is no text', async () => {
    const named = csv({ columns: ['a', 'b'], delimiter: ';' })
    expect((await read('\ufeff1;2,5\n"3";4\n', named)).values).toEqual([
      { a: '1', b: '2,5' },
      { a: '3', b: '4' },
    ])
    expect((await read('\ufeff"a"\tb\n1\t2\n', csv({ delimiter: '\t' }))).values).toEqual([{ a: '1', b: '2' }])
  })

  test('a schema checks and converts; what does not pass is a bad line', async () => {
    const format = csv({ schema: z.object({ id: z.coerce.number().int(), name: z.string() }) })
    expect((await read('id,name\n7,x\n', format)).values).toEqual([{ id: 7, name: 'x' }])
    await expect(read('id,name\n7,x\nseven,y\n', format)).rejects.toThrow(/^f\.csv, byte 12: id: .*"seven,y"/)
  })

  test('nothing in an empty file, in one of a header alone and in one of empty lines', async () => {
    for (const text of ['', '\ufeff', 'a,b', 'a,b\n', '\n\r\n', '\n\na,b\n\n']) {
      const found = await read(text)
      expect(found).toMatchObject({ values: [], skipped: 0 })
      expect(found.position.byte).toBe(Buffer.byteLength(text))
    }
  })

  test('names that columns of JavaScript objects should not have are safe or refused', async () => {
    expect((await read('constructor,toString\n1,2\n')).values).toEqual([{ constructor: '1', toString: '2' }])
    await expect(read('a,__proto__\n1,2\n')).rejects.toThrow(/f\.csv: the header names a column "__proto__"/)
  })
})

describe('wherever reading begins', () => {
  test('the header survives: from each position the rest is what it was', async () => {
    const rows = Array.from({ length: 40 }, (_, n) => `${n},"line ${n}\nof ""two""",${n % 2 === 0 ? 'é' : ''}`)
    const text = `\ufeffn,text,mark\n${rows.join('\r\n')}`
    const whole = await read(text, csv(), { blockBytes: 40 })
    expect(whole.values).toHaveLength(40)
    expect(whole.positions.length).toBeGreaterThan(20)
    for (let batches = 1; batches <= whole.positions.length; batches += 1) {
      const part = await readOn(csv(), { blockBytes: 40, batches })
      const rest = await readOn(csv(), { blockBytes: 7, from: part.position })
      expect([...part.values, ...rest.values]).toEqual(whole.values)
    }
  })

  test('any text at all gives the same records and bad lines in blocks of any size, and every byte is accounted for', async () => {
    const anyText = fc.array(fc.constantFrom('"', '""', ',', '\n', '\r\n', '\r', 'a', 'é', '"x"', ',"', '",'), {
      maxLength: 40,
    })
    let bad = 0
    await fc.assert(
      fc.asyncProperty(anyText, fc.integer({ min: 1, max: 12 }), async (parts, blockBytes) => {
        const text = parts.join('')
        const format = csv({ columns: ['a', 'b'] })
        const whole = await read(text, format, { onBadLine: 'skip', blockBytes: 100_000 })
        const cut = await read(text, format, { onBadLine: 'skip', blockBytes })
        expect(cut).toMatchObject({ values: whole.values, skipped: whole.skipped })
        expect(cut.position.byte).toBe(Buffer.byteLength(text))
        const half = await readOn(format, {
          onBadLine: 'skip',
          blockBytes,
          batches: Math.ceil(cut.positions.length / 2),
        })
        const rest = await readOn(format, { onBadLine: 'skip', from: half.position })
        expect([...half.values, ...rest.values]).toEqual(whole.values)
        bad += whole.skipped
      }),
      { numRuns: 300 },
    )
    expect(bad).toBeGreaterThan(100)
  })

  test('records that any writer of RFC 4180 gives are read back', async () => {
    const field = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r\n', 'a', 'ß', ' '), maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(field, field), { maxLength: 12 }),
        fc.integer({ min: 1, max: 30 }),
        async (rows, blockBytes) => {
          const text = rows.map((row) => `${row.map((one) => `"${one.replaceAll('"', '""')}"`).join(',')}\n`).join('')
          const found = await read(text, csv({ columns: ['a', 'b'] }), { blockBytes })
          expect(found.values).toEqual(rows.map(([a, b]) => ({ a, b })))
        },
      ),
      { numRuns: 200 },
    )
  })

  test('rows that are appended between two runs are read by the old header', async () => {
    const first = await read('a,b\n1,2\n')
    appendFileSync(join(directory, 'f.csv'), '3,4\n')
    expect((await readOn(csv(), { from: first.position })).values).toEqual([{ a: '3', b: '4' }])
  })
})

describe('bad lines', () => {
  test.each([
    ['a quote in a plain field', '5" disk,x', /a quote within a field that is not quoted/],
    ['text behind a closing quote', '"a"b,x', /a field goes on behind its closing quote/],
    ['too few fields', 'x', /1 fields instead of 2 \(a, b\)/],
    ['too many fields', 'x,y,z', /3 fields instead of 2/],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0x2c, 0x31]), /not valid UTF-8/],
  ])('%s: fails at its byte, or is skipped and counted without its neighbours', async (_, line, reason) => {
    const text = Buffer.concat([Buffer.from('a,b\n1,é\n'), Buffer.from(line), Buffer.from('\n3,4\n')])
    for (const blockBytes of [1, 9, 1_000]) {
      const failed = read(text, csv(), { blockBytes })
      await expect(failed).rejects.toThrow(TerminalError)
      await expect(failed).rejects.toThrow(/^f\.csv, byte 9: .*onBadLine: 'skip'/)
      await expect(failed).rejects.toThrow(reason)
      const found = await read(text, csv(), { blockBytes, onBadLine: 'skip' })
      expect(found).toMatchObject({
        values: [
          { a: '1', b: 'é' },
          { a: '3', b: '4' },
        ],
        skipped: 1,
      })
    }
  })

  test('a quote that is never closed costs its line only', async () => {
    const text = `a,b\n1,2\n"3,4\n5,6\n`
    await expect(read(text)).rejects.toThrow(/byte 8: a quote is not closed: "\\"3,4"/)
    expect(await read(text, csv(), { onBadLine: 'skip' })).toMatchObject({
      values: [
        { a: '1', b: '2' },
        { a: '5', b: '6' },
      ],
      skipped: 1,
    })
  })

  test('a quote that is not closed for a mebibyte is a bad line too, whatever comes later', async () => {
    const text = `a,b\n"1,2\n${'3,4\n'.repeat(300_000)}5,"6"\n`
    const found = await read(text, csv(), { onBadLine: 'skip', blockBytes: 256 * 1024 })
    expect(found.values).toHaveLength(300_001)
    expect(found.skipped).toBe(1)
    expect(found.position.byte).toBe(text.length)
  })
})

describe('what is refused', () => {
  test.each([
    ['"a,b\n1,2\n', /f\.csv: its first record cannot be a header: a quote is not closed.*columns: \[…\]/],
    ['a,,b\n', /f\.csv: the header names a column ""/],
    ['a,b,a\n', /f\.csv: the header names a column "a": each needs a name of its own/],
  ])('a header like %j, whatever the policy for bad lines', async (text, message) => {
    const failed = read(text, csv(), { onBadLine: 'skip' })
    await expect(failed).rejects.toThrow(TerminalError)
    await expect(failed).rejects.toThrow(message)
  })

  test.each(['', ',,', '"', '\n', 'é'])('the delimiter %j', (delimiter) => {
    expect(() => csv({ delimiter })).toThrow(/not one ASCII character/)
  })

  test('columns that are none or no names', () => {
    expect(() => csv({ columns: [] })).toThrow(/csv: columns names no column/)
    expect(() => csv({ columns: ['a', 'a'] })).toThrow(/names a column "a"/)
  })
})
