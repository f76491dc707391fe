import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { json, type Polled, type Source, type SourceReader } from '../../engine/api/index.ts'
import { csv, fileSource, type FilePosition, type FileSplit } from '../../sources/file/source.ts'
import { generatorSource, type GeneratorPosition, type GeneratorSplit } from '../../sources/generator/source.ts'
import { sourceChecks, testSource, untyped, type AnySourceUnderTest } from '../conformance/source.ts'

const directory = mkdtempSync(join(tmpdir(), 'sluice-sources-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let fileRecords = 0
for (const [name, count] of Object.entries({ 'a.jsonl': 40, 'b.jsonl': 0, 'c.jsonl': 1, 'd.jsonl': 90 })) {
  const texts = Array.from({ length: count }, (_, index) =>
    JSON.stringify({ name, index, text: 'é'.repeat(index % 17) }),
  )
  writeFileSync(join(directory, name), texts.join('\n') + (name === 'd.jsonl' ? '' : '\n'))
  fileRecords += count
}

testSource('file', {
  baseDirectory: directory,
  records: fileRecords,
  open: (variant) =>
    fileSource({
      path: '*.jsonl',
      decode: json<{ index: number }>(),
      timestamp: ({ index }) => index,
      blockBytes: [200, 7, 100_000][variant] ?? 64,
    }),
})

const csvRecords = Array.from({ length: 60 }, (_, index) => `${index},${index % 3 === 0 ? '"zwei\n""Zeilen"""' : 'é'}`)
writeFileSync(join(directory, 'a.csv'), ['index,text', ...csvRecords.slice(0, 25)].join('\r\n'))
writeFileSync(join(directory, 'b.csv'), ['index,text', ...csvRecords.slice(25)].join('\n'))

testSource('file of CSV', {
  baseDirectory: directory,
  records: 60,
  open: (variant) =>
    fileSource({
      path: '*.csv',
      decode: csv(),
      timestamp: ({ index }) => Number(index),
      blockBytes: [200, 7, 100_000][variant] ?? 64,
    }),
})

for (const [extension, compress] of Object.entries({ gz: gzipSync, zst: zstdCompressSync })) {
  const whole = csvRecords.slice(0, 30).join('\n')
  writeFileSync(join(directory, `a.${extension}`), compress(`index,text\n${whole}`))
  const chunks = ['index,text', ...csvRecords.slice(30)].map((record) => compress(`${record}\n`))
  writeFileSync(join(directory, `b.${extension}`), Buffer.concat(chunks))

  testSource(`file of CSV, compressed: ${extension}`, {
    baseDirectory: directory,
    records: 60,
    open: (variant) =>
      fileSource({ path: `*.${extension}`, decode: csv(), blockBytes: [200, 7, 100_000][variant] ?? 64 }),
  })
}

testSource('file, followed', {
  baseDirectory: directory,
  // A last line without its end waits.
  records: fileRecords - 1,
  isEndless: true,
  open: (variant) =>
    fileSource({
      path: '*.jsonl',
      decode: json<{ index: number }>(),
      follow: true,
      blockBytes: [200, 7, 100_000][variant] ?? 64,
    }),
})

const RECORDS = 200

function generated(variant: number): Source<string, GeneratorSplit, GeneratorPosition> {
  return generatorSource({
    seed: 7,
    count: RECORDS,
    generate: (index, random) => `${index}-${random.token(4)}`,
    timestamp: (text) => Number.parseInt(text, 10),
    batchSize: [7, 3, 1_000][variant] ?? 1,
  })
}

testSource('generator', { records: RECORDS, open: generated })
testSource('generator, endless and paced', {
  records: RECORDS,
  isEndless: true,
  open: (variant) =>
    generatorSource({
      seed: -7,
      ratePerSecond: 20_000,
      generate: (index, random) => [index, random.next()],
      batchSize: [7, 3, 1_000][variant] ?? 1,
    }),
})

type Reader = SourceReader<string, GeneratorSplit, GeneratorPosition>
type Answer = Polled<string, GeneratorSplit, GeneratorPosition>

interface Broken {
  readonly finds: RegExp
  readonly reader: (sound: Reader, variant: number) => Partial<Reader>
}

const asAsync = async (sound: Reader): Promise<Answer> => await sound.poll(new AbortController().signal)

/** Sources with one seeded mistake each, and the check that must find it. */
const broken: Readonly<Record<string, Broken>> = {
  'position off by one': {
    finds: /from every position/,
    reader: (sound) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'records' ? { ...polled, after: { index: polled.after.index - 1 } } : polled
      },
    }),
  },
  'position before the batch instead of behind it': {
    finds: /again and again/,
    reader: (sound) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'records'
          ? { ...polled, after: { index: polled.after.index - polled.records.values.length } }
          : polled
      },
    }),
  },
  'a batch is dropped on abort': {
    finds: /aborted poll/,
    reader: (sound) => ({
      poll: async (signal) => {
        const polled = await asAsync(sound)
        return signal.aborted ? { kind: 'idle' } : polled
      },
    }),
  },
  'an aborted poll never answers': {
    finds: /aborted poll/,
    reader: (sound) => ({
      poll: (signal) => (signal.aborted ? new Promise<never>(() => undefined) : sound.poll(signal)),
    }),
  },
  'another order on replay': {
    finds: /every run/,
    reader: (sound, variant) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'records' && variant === 1
          ? { ...polled, records: { values: polled.records.values.toReversed() } }
          : polled
      },
    }),
  },
  'the same position object, moved on': {
    finds: /does not change later/,
    reader: (sound) => {
      const after = { index: 0 }
      return {
        poll: async () => {
          const polled = await asAsync(sound)
          return polled.kind === 'records' ? { ...polled, after: Object.assign(after, polled.after) } : polled
        },
      }
    },
  },
  'a position that is not JSON': {
    finds: /plain JSON/,
    reader: (sound) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'records' ? { ...polled, after: Object.assign(new Date(0), polled.after) } : polled
      },
    }),
  },
  'the end of the split is said twice': {
    finds: /ends once/,
    reader: (sound) => {
      let again: Answer | undefined
      return {
        poll: async () => {
          const polled = again ?? (await asAsync(sound))
          again = again === undefined && polled.kind === 'split-ended' ? polled : undefined
          return polled
        },
      }
    },
  },
  'the end of the split is not said': {
    finds: /ends once/,
    reader: (sound) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'split-ended' ? { kind: 'ended' } : polled
      },
    }),
  },
  'it starts over when restored': {
    finds: /from every position/,
    reader: (sound) => ({
      assign: (splits) => sound.assign(splits.map(({ split }) => ({ split, position: { index: 0 } }))),
    }),
  },
  'what was acknowledged is taken for the position': {
    finds: /again and again/,
    reader: (sound) => ({ acknowledge: (splits) => sound.assign(splits) }),
  },
  'a timestamp too few': {
    finds: /timestamps/,
    reader: (sound) => ({
      poll: async () => {
        const polled = await asAsync(sound)
        return polled.kind === 'records' ? { ...polled, records: { ...polled.records, timestamps: [0] } } : polled
      },
    }),
  },
  'it waits for ever with nothing to read': {
    finds: /nothing to read/,
    reader: (sound) => {
      let isEmpty = false
      return {
        assign: (splits) => {
          isEmpty = splits.length === 0
          return sound.assign(splits)
        },
        poll: (signal) => (isEmpty ? { kind: 'idle' } : sound.poll(signal)),
      }
    },
  },
  'dispose fails': {
    finds: /disposed/,
    reader: () => ({ [Symbol.asyncDispose]: () => Promise.reject(new Error('still busy')) }),
  },
}

/** Reads ahead of the task when it is asked where it is: what a restore from there would skip is found by the F35 check. */
const live: AnySourceUnderTest = untyped({
  records: RECORDS,
  open: (variant: number) =>
    withReaderOf(generated(variant), (sound) => {
      let ahead: Answer | undefined
      return {
        poll: async () => {
          const polled = ahead ?? (await asAsync(sound))
          ahead = polled.kind === 'records' ? await asAsync(sound) : undefined
          return polled.kind === 'records' && ahead?.kind === 'records' ? { ...polled, after: ahead.after } : polled
        },
      }
    }),
})

function withReaderOf(
  source: Source<string, GeneratorSplit, GeneratorPosition>,
  change: (sound: Reader) => Partial<Reader>,
): Source<string, GeneratorSplit, GeneratorPosition> {
  return {
    ...source,
    createReader: async (context) => {
      const sound = await source.createReader(context)
      return {
        assign: (splits) => sound.assign(splits),
        poll: (signal) => sound.poll(signal),
        [Symbol.asyncDispose]: () => sound[Symbol.asyncDispose](),
        ...change(sound),
      }
    },
  }
}

async function failing(source: AnySourceUnderTest): Promise<string[]> {
  const failed: string[] = []
  for (const [what, check] of Object.entries(sourceChecks)) {
    await check(source).catch(() => failed.push(what))
  }
  return failed
}

describe('the checks find seeded mistakes', () => {
  for (const [what, { finds, reader }] of Object.entries(broken)) {
    test(`${what}`, async () => {
      const open = (variant: number): Source<string, GeneratorSplit, GeneratorPosition> =>
        withReaderOf(generated(variant), (sound) => reader(sound, variant))
      const failed = await failing(untyped({ records: RECORDS, open }))
      expect(
        failed.filter((name) => finds.test(name)),
        `failed: ${failed.join(' | ')}`,
      ).toHaveLength(1)
    })
  }

  type AddingReader = SourceReader<{ index: number }, FileSplit, FilePosition>
  test.each<[string, (sound: AddingReader) => AddingReader['addSplits']]>([
    ['takes none', () => undefined],
    ['takes each twice', (sound) => async (splits) => sound.addSplits?.([...splits, ...splits])],
  ])('a reader that is given new splits and %s (F32)', async (_, addSplits) => {
    const source = fileSource({ path: '*.jsonl', decode: json<{ index: number }>(), follow: true, blockBytes: 200 })
    const createReader: typeof source.createReader = async (context) => {
      const sound = await source.createReader(context)
      return {
        assign: (splits) => sound.assign(splits),
        addSplits: addSplits(sound),
        poll: (signal) => sound.poll(signal),
        [Symbol.asyncDispose]: () => sound[Symbol.asyncDispose](),
      } as AddingReader
    }
    const isIt = ([name]: readonly [string, unknown]): boolean => name.includes('added between two polls')
    const check = Object.entries(sourceChecks).find(isIt)?.[1]
    const records = fileRecords - 1
    const open = (): typeof source => ({ ...source, createReader })
    const failed = check?.(untyped({ baseDirectory: directory, records, isEndless: true, open }))
    await expect(failed).rejects.toThrow(/addSplits|added one by one/)
  })

  test('positions that run ahead of the batch (F35)', async () => {
    expect((await failing(live)).filter((name) => name.includes('F35'))).toHaveLength(1)
  })
})
