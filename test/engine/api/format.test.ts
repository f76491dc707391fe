import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { json, lines, TerminalError, type DecodedBlock } from '../../../engine/api/index.ts'

/** What decodeBlock must give: each line by itself. */
function lineByLine(block: Buffer): { values: unknown[]; badAt: number[] } {
  const values: unknown[] = []
  const badAt: number[] = []
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  for (let start = 0; start < block.length;) {
    const newline = block.indexOf(10, start)
    const stop = newline < 0 ? block.length : newline
    const line = block.subarray(start, stop)
    try {
      const text = strict.decode(line)
      if (!/^[ \t\r]*$/.test(text)) values.push(JSON.parse(text))
    } catch {
      badAt.push(start)
    }
    start = stop + 1
  }
  return { values, badAt }
}

function shapeOf(decoded: DecodedBlock<unknown>): { values: readonly unknown[]; badAt: number[] } {
  return { values: decoded.values, badAt: decoded.bad.map((bad) => bad.offset) }
}

const adversarial = [
  '{},{}',
  '{"a":[{}',
  '{}]}',
  '[1',
  '2]',
  '[[1',
  '2]]',
  '1],[2',
  '1,2',
  '"open',
  'close"',
  '"a\\',
  ',',
  ',1',
  '1,',
  ']',
  '[',
  '}',
  '{',
  '{"a":',
  '1}',
  'null',
  '0',
  '""',
  '"x"',
  '{"__proto__":1}',
  '{"a":1}',
  '[]',
  ' {"b": 2} ',
  '\ufeff{}',
  '\u00a0',
  '"\u2028"',
  '"é😀"',
  '',
  '   ',
  '\t',
  '{"a":1}\r',
  '\r',
  '1\r\r',
  'undefined',
  'NaN',
  '-0',
  '01',
  '{"k":1,"k":2}',
  '/*',
  '*/',
  '"\\u000a"',
]

const anyLine = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...adversarial).map((text) => Buffer.from(text)) },
  { weight: 3, arbitrary: fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))) },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.constantFrom('{', '}', '[', ']', ',', '"', ':', '1', '\\', 'a'), { maxLength: 6 })
      .map((parts) => Buffer.from(parts.join(''))),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10))),
  },
)
const anyBlock = fc
  .tuple(fc.array(anyLine, { maxLength: 12 }), fc.boolean())
  .map(([parts, isEnded]) =>
    Buffer.concat(
      parts.flatMap((part, index) => (index === parts.length - 1 && !isEnded ? [part] : [part, Buffer.from('\n')])),
    ),
  )

describe('json', () => {
  test('a block decodes to what its lines decode to one by one', () => {
    let good = 0
    let bad = 0
    fc.assert(
      fc.property(anyBlock, (block) => {
        const expected = lineByLine(block)
        good += expected.values.length
        bad += expected.badAt.length
        expect(shapeOf(json().decodeBlock(block))).toStrictEqual(expected)
        const lenient = z.unknown()
        expect(shapeOf(json(lenient).decodeBlock(block))).toStrictEqual(expected)
      }),
      { numRuns: 3_000 },
    )
    expect(good).toBeGreaterThan(2_000)
    expect(bad).toBeGreaterThan(2_000)
  })

  test('blocks of valid JSON lines alone decode to what their lines decode to', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 1, maxLength: 20 }), (values) => {
        const block = Buffer.from(values.map((value) => json().encode(value)).join('\n'))
        expect(json().decodeBlock(block)).toStrictEqual({
          values: values.map((value) => JSON.parse(JSON.stringify(value))),
          bad: [],
        })
      }),
    )
  })

  test.each([
    ['a line of two values makes up for two lines that are one value', ['{},{}', '{"a":[{}', '{}]}'], [0, 6, 15]],
    ['two lines that are one value', ['1', '{"a":[{}', '{}]}', '2'], [2, 11]],
    ['nested arrays over two lines, and a line that closes and opens', ['[[1', '2]]', '1],[2'], [0, 4, 8]],
    ['a string over two lines', ['"a', 'b"', '1'], [0, 3]],
  ])('%s: each bad line is named', (_, texts, badAt) => {
    const decoded = json().decodeBlock(Buffer.from(texts.join('\n')))
    expect(decoded.bad.map((bad) => bad.offset)).toEqual(badAt)
    expect(decoded.values).toEqual(texts.filter((text) => /^\d$/.test(text)).map(Number))
  })

  test('a line that is not UTF-8 is bad, and its neighbours are not', () => {
    const block = Buffer.concat([Buffer.from('{"a":1}\n"'), Buffer.from([0xff]), Buffer.from('"\n{"a":2}\n')])
    const { values, bad } = json().decodeBlock(block)
    expect(values).toEqual([{ a: 1 }, { a: 2 }])
    expect(bad).toMatchObject([{ offset: 8, reason: 'not valid UTF-8' }])
  })

  test('CRLF is accepted and blank lines are passed over', () => {
    expect(json().decodeBlock(Buffer.from('1\r\n\r\n  \n2\r\n'))).toStrictEqual({ values: [1, 2], bad: [] })
  })

  test('a schema turns what does not pass into a bad line, and gives what it makes of the rest', () => {
    const order = z.object({ id: z.number(), at: z.string().transform((text) => text.length) })
    const format = json(order)
    const { values, bad } = format.decodeBlock(
      Buffer.from('{"id":1,"at":"abc"}\n{"id":"x","at":""}\nnot json\n{"id":2,"at":""}\n'),
    )
    expect(values).toEqual([
      { id: 1, at: 3 },
      { id: 2, at: 0 },
    ])
    expect(bad.map(({ offset }) => offset)).toEqual([20, 39])
    expect(bad[0]?.reason).toMatch(/^id: /)
    expect(bad[0]?.excerpt).toBe('{"id":"x","at":""}')
  })

  test('a schema that validates asynchronously or throws is the fault of the job, not of the line', () => {
    const later = { '~standard': { validate: () => Promise.resolve({ value: 1 }) } }
    expect(() => json(later).decodeBlock(Buffer.from('1\n'))).toThrow(TerminalError)
    expect(() => json(later).decodeBlock(Buffer.from('1\nbad\n'))).toThrow(/asynchronously/)
    const throwing = z.number().transform((): number => {
      throw new Error('oh no')
    })
    expect(() => json(throwing).decodeBlock(Buffer.from('1\n'))).toThrow(/gave a promise.*or threw/)
    const plainly = {
      '~standard': {
        validate: (): { value: number } => {
          throw new Error('oh no')
        },
      },
    }
    expect(() => json(plainly).decodeBlock(Buffer.from('1\n'))).toThrow(/schema threw.*oh no/)
  })

  test('what has no JSON form cannot be encoded', () => {
    expect(() => json().encode(undefined)).toThrow('undefined has no JSON form')
    expect(json().encode({ a: 'x\ny' })).toBe('{"a":"x\\ny"}')
  })
})

describe('lines', () => {
  test('gives each line as it is, whatever its end', () => {
    expect(lines().decodeBlock(Buffer.from('a\r\n b \n\nc'))).toStrictEqual({ values: ['a', ' b ', 'c'], bad: [] })
  })

  test('a line that is not UTF-8 is bad, and its neighbours are not', () => {
    const { values, bad } = lines().decodeBlock(
      Buffer.concat([Buffer.from('a\n'), Buffer.from([0xc3]), Buffer.from('\nb\n')]),
    )
    expect(values).toEqual(['a', 'b'])
    expect(bad).toMatchObject([{ offset: 2 }])
  })

  test('a string that holds a line break cannot be encoded', () => {
    expect(() => lines().encode('a\nb')).toThrow('line break')
    expect(() => lines().encode('a\r')).toThrow('line break')
    expect(lines().encode('ab')).toBe('ab')
  })
})
