/** CSV out of the file sink: what a reader gets back is what was written, in each file by itself, and nothing is left out silently. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TerminalError } from '../../../engine/api/index.ts'
import { encodeCsv, fileSink, type CsvSinkOptions, type FileFormat } from '../../../sinks/file/sink.ts'
import { csv, fileSource } from '../../../sources/file/source.ts'
import { SinkGeneration } from '../../conformance/sink-generation.ts'
import { readFiles } from '../../sources/read-files.ts'

/** One file of these records, as the writer puts it together. */
function textOf<T>(format: FileFormat<T>, records: readonly T[]): string {
  const [first] = records
  if (first === undefined) return ''
  const file = format.openFile(first)
  return [...(file.header === undefined ? [] : [file.header]), ...records.map((record) => file.encode(record))]
    .map((line) => `${line}\n`)
    .join('')
}

describe('a record', () => {
  test('is a row under the header, quoted where it must be (RFC 4180)', () => {
    const records = [
      { name: 'Ada', note: 'a "quote", and\r\ntwo lines', n: 1 },
      { note: '', n: -0.5, name: ' spaces ' },
    ]
    expect(textOf(encodeCsv(), records)).toBe('name,note,n\nAda,"a ""quote"", and\r\ntwo lines",1\n spaces ,,-0.5\n')
  })

  test('holds texts, numbers, bigints, booleans, dates and nothing', () => {
    const record = { a: 'x', b: 1.5, c: 2n ** 70n, d: true, e: new Date(0), f: null, g: undefined }
    const columns = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    expect(textOf(encodeCsv({ columns }), [record])).toBe(
      'a,b,c,d,e,f,g\nx,1.5,1180591620717411303424,true,1970-01-01T00:00:00.000Z,,\n',
    )
  })

  test('is laid out as the options say', () => {
    const records = [{ a: 'x;y', b: 'z,' }]
    const options: CsvSinkOptions = { columns: ['b', 'a'], delimiter: ';', header: false, lineEnd: '\r\n' }
    expect(textOf(encodeCsv(options), records)).toBe('z,;"x;y"\r\n')
    expect(textOf(encodeCsv({ delimiter: '\t' }), [{ a: 'x\ty' }])).toBe('a\n"x\ty"\n')
  })

  test('of one empty field is not an empty line, which readers pass over', () => {
    expect(textOf(encodeCsv(), [{ a: '' }, { a: null }])).toBe('a\n""\n""\n')
  })
})

describe('nothing is left out silently', () => {
  type AnyRecord = Record<string, unknown>
  const write = (records: readonly AnyRecord[], options: CsvSinkOptions = {}) =>
    textOf(encodeCsv<AnyRecord>(options), records)

  test.each<[string, readonly AnyRecord[], CsvSinkOptions, RegExp]>([
    [
      'a column more than the first record has',
      [{ a: 1 }, { a: 1, b: 2 }],
      {},
      /has more columns \(b\) than this file: a\./,
    ],
    ['other columns', [{ a: 1 }, { b: 2 }], {}, /has more columns \(b\)/],
    ['a column less', [{ a: 1, b: 2 }, { a: 1 }], {}, /is without b/],
    ['a column that is not named', [{ a: 1, b: 2 }], { columns: ['a'] }, /"b":2.*has more columns \(b\)/],
    ['an object', [{ a: { b: 1 } }], {}, /column "a" of .* is of type object, which is no field/],
    ['a list', [{ a: [1] }], {}, /column "a"/],
    ['a function', [{ a: () => 1 }], {}, /column "a" of .* is of type function/],
    ['a date that is none', [{ a: new Date(Number.NaN) }], {}, /column "a" of .* is no date/],
    ['no column', [{}], {}, /there is no column/],
    ['a column without a name', [{ '': 1 }], {}, /there is a column ""/],
  ])('%s is an error that names the record', (_, records, options, message) => {
    expect(() => write(records, options)).toThrow(TerminalError)
    expect(() => write(records, options)).toThrow(message)
  })

  test('a record that is no object is an error', () => {
    for (const value of ['text', 7, null, [1]]) {
      expect(() => textOf(encodeCsv<object>(), [value as unknown as object])).toThrow(/is no record of named columns/)
    }
  })

  test('what records may do without when columns are named is an empty field; another order is no other columns', () => {
    expect(write([{ b: 1 }, { a: 2 }], { columns: ['a', 'b'] })).toBe('a,b\n,1\n2,\n')
    expect(
      write([
        { a: 1, b: 2 },
        { b: 4, a: 3 },
      ]),
    ).toBe('a,b\n1,2\n3,4\n')
    expect(write([{ a: 1, b: undefined }, { a: 2 }])).toBe('a\n1\n2\n')
  })

  test.each([
    [{ delimiter: '"' }, /delimiter/],
    [{ delimiter: ';;' }, /delimiter/],
    [{ columns: [] }, /there is no column/],
    [{ columns: ['a', 'a'] }, /there is a column "a"/],
    [{ columns: ['__proto__'] }, /__proto__/],
  ])('options that cannot be meant are refused: %j', (options, message) => {
    expect(() => encodeCsv(options)).toThrow(message)
  })
})

describe('written and read again', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-csv-out-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  test('any texts come back as they were, by our source and by csv-parse', async () => {
    const field = fc.string({
      unit: fc.constantFrom('"', ',', ';', '\n', '\r', ' ', 'a', 'é', '\ufeff', '\t'),
      maxLength: 6,
    })
    const options = fc.record({
      delimiter: fc.constantFrom(',', ';', '\t', ' '),
      lineEnd: fc.constantFrom('\n' as const, '\r\n' as const),
    })
    const columns = fc.uniqueArray(
      field.filter((name) => name !== ''),
      { minLength: 1, maxLength: 3 },
    )
    let rows = 0
    await fc.assert(
      fc.asyncProperty(
        columns,
        fc.array(fc.array(field, { minLength: 3, maxLength: 3 }), { maxLength: 5 }),
        options,
        async (names, fields, layout) => {
          rmSync(directory, { recursive: true, force: true })
          const records = fields.map((one) => Object.fromEntries(names.map((name, index) => [name, one[index] ?? ''])))
          await using job = new SinkGeneration(
            {
              createSink: () =>
                fileSink({
                  path: directory,
                  encode: encodeCsv<object>({ ...layout, columns: names }),
                  extension: '.csv',
                }),
              record: (number) => records[number] ?? {},
              readVisible: () => Promise.resolve([]),
              [Symbol.asyncDispose]: () => Promise.resolve(),
            },
            { generation: 1 },
          )
          await job.open()
          await job.write(records.map((_, index) => index))
          await job.commitUntilClear(await job.prepare())
          const source = fileSource({ path: '*.csv', decode: csv({ delimiter: layout.delimiter }), blockBytes: 7 })
          const read = records.length === 0 ? { values: [] } : await readFiles(source, directory)
          expect(read.values).toEqual(records)
          const [file] = readdirSync(directory).filter((name) => name.endsWith('.csv'))
          const text = file === undefined ? '' : readFileSync(join(directory, file))
          const parsed: unknown = parse(text, {
            delimiter: layout.delimiter,
            record_delimiter: ['\r\n', '\n'],
            columns: true,
          })
          expect(parsed).toEqual(records)
          rows += records.length
        },
      ),
      { numRuns: 60 },
    )
    expect(rows).toBeGreaterThan(60)
  })

  test('each file has its header, and columns of its own when none are named', async () => {
    const records: object[] = [{ a: 1 }, { a: 2 }, { b: 3 }]
    await using job = new SinkGeneration(
      {
        createSink: () => fileSink({ path: directory, encode: encodeCsv(), extension: '.csv', maxPartBytes: 1 }),
        record: (number) => records[number] ?? {},
        readVisible: () => Promise.resolve([]),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      { generation: 1 },
    )
    await job.open()
    await job.write([0, 1, 2])
    await job.commitUntilClear(await job.prepare())
    const files = readdirSync(directory).filter((name) => name.endsWith('.csv'))
    expect(files.toSorted().map((name) => readFileSync(join(directory, name), 'utf8'))).toEqual([
      'a\n1\n',
      'a\n2\n',
      'b\n3\n',
    ])
  })

  test('a part that stays open across checkpoints has one header', async () => {
    await using job = new SinkGeneration(
      {
        createSink: () => fileSink({ path: directory, encode: encodeCsv(), extension: '.csv', rolling: 'when-full' }),
        record: (number) => ({ number }),
        readVisible: () => Promise.resolve([]),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      { generation: 1 },
    )
    await job.open()
    for (const number of [1, 2, 3]) {
      await job.write([number])
      await job.prepare()
    }
    await job.commitUntilClear(await job.prepare({ endOfInput: true }))
    const files = readdirSync(directory).filter((name) => name.endsWith('.csv'))
    expect(files.map((name) => readFileSync(join(directory, name), 'utf8'))).toEqual(['number\n1\n2\n3\n'])
  })
})
