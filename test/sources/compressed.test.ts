/** Compressed files through the file source: what is read, positions and damage, for files of one chunk, of many and of any cut. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lines, TerminalError } from '../../engine/api/index.ts'
import { csv, fileSource, type CompressionChoice } from '../../sources/file/source.ts'
import { contextIn } from '../conformance/source-run.ts'
import { never, readFiles, START } from './read-files.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-compressed-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const write = (name: string, bytes: string | Buffer): void => writeFileSync(join(directory, name), bytes)
const open = (path: string, blockBytes = 1_000, compression?: CompressionChoice) =>
  fileSource({ path, decode: lines(), blockBytes, ...(compression === undefined ? {} : { compression }) })

const kinds = { gz: gzipSync, zst: zstdCompressSync } as const
const texts = Array.from({ length: 3_000 }, (_, index) => `line ${index} ${crc32(String(index))}`)
const content = texts.join('\n') + '\n'

describe.each(['gz', 'zst'] as const)('.%s', (extension) => {
  const compress = kinds[extension]
  const name = `f.${extension}`
  /** A chunk per few lines, as ours and those of parallel tools are. */
  const chunks = (perChunk: number): Buffer =>
    Buffer.concat(
      Array.from({ length: Math.ceil(texts.length / perChunk) }, (_, index) =>
        compress(
          texts
            .slice(index * perChunk, (index + 1) * perChunk)
            .map((text) => `${text}\n`)
            .join(''),
        ),
      ),
    )

  test.each([1, 7, 1_000, 3_000])('all is read, in chunks of %i lines', async (perChunk) => {
    write(name, chunks(perChunk))
    const found = await readFiles(open(name, 64 * 1024), directory)
    expect(found.values).toEqual(texts)
    expect(found.positions.get(name)?.byte).toBe(content.length)
  })

  test('a position is a byte of the content, and from each the rest is read, however the file is compressed then', async () => {
    write(name, compress(content))
    const whole = await readFiles(open(name), directory)
    expect(whole.values).toEqual(texts)
    expect(whole.stops.length).toBeGreaterThan(50)
    const some = whole.stops.filter((_, index) => index % 9 === 0)
    for (const { position, upTo } of some) {
      expect(position.byte).toBe(texts.slice(0, upTo).join('\n').length + 1)
      const rest = await readFiles(open(name, 333), directory, { from: new Map([[name, position]]) })
      expect(rest.values).toEqual(texts.slice(upTo))
    }
    write(name, chunks(100))
    const { position, upTo } = some[3] ?? { position: START, upTo: 0 }
    expect((await readFiles(open(name), directory, { from: new Map([[name, position]]) })).values).toEqual(
      texts.slice(upTo),
    )
  })

  test('CSV: the header is found wherever reading begins', async () => {
    write(name, compress(`\ufeffa,b\n${texts.map((text, index) => `${index},"${text}\n"`).join('\n')}`))
    const source = fileSource({ path: name, decode: csv(), blockBytes: 5_000 })
    const whole = await readFiles(source, directory)
    expect(whole.values).toEqual(texts.map((text, index) => ({ a: String(index), b: `${text}\n` })))
    const { position, upTo } = whole.stops[4] ?? { position: START, upTo: 0 }
    const rest = await readFiles(source, directory, { from: new Map([[name, position]]) })
    expect(rest.values).toEqual(whole.values.slice(upTo))
  })

  test('cut off anywhere: an error that names file and place, and nothing of what is missing is taken for the end', async () => {
    const bytes = chunks(500)
    const ends = new Set<number>()
    for (let end = 0, at = 0; at < texts.length; at += 500) {
      ends.add(end)
      end += compress(
        texts
          .slice(at, at + 500)
          .map((text) => `${text}\n`)
          .join(''),
      ).length
    }
    for (let cut = 0; cut < bytes.length; cut += 1 + Math.floor(bytes.length / 60)) {
      write(name, bytes.subarray(0, cut))
      if (cut > 0 && ends.has(cut)) continue
      const read = readFiles(open(name), directory)
      await expect(read).rejects.toThrow(TerminalError)
      await expect(read).rejects.toThrow(
        /f\.(gz|zst): damaged or cut off (gzip|zstd) data behind byte \d+ of the file \(byte \d+ of/,
      )
    }
  })

  test('something else behind the last chunk is an error, not an end', async () => {
    for (const rest of [Buffer.from('garbage'), Buffer.from([0, 0, 65])]) {
      write(name, Buffer.concat([compress('a\nb\n'), rest]))
      await expect(readFiles(open(name), directory)).rejects.toThrow(/damaged or cut off/)
    }
  })

  test('any content in chunks of any sizes is read as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ maxLength: 40 }), { maxLength: 20 }), async (parts) => {
        const whole = parts.map((part) => part.replaceAll(/[\n\r]/g, '') + 'x')
        write(name, Buffer.concat([compress(''), ...whole.map((part) => compress(`${part}\n`))]))
        expect((await readFiles(open(name, 11), directory)).values).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })

  test('rewritten or shortened below the position: an error that names it (F20)', async () => {
    write(name, compress(content))
    const part = await readFiles(open(name), directory, { batches: 20 })
    const from = part.positions
    const changed: readonly (readonly [string, RegExp])[] = [
      [`X${content.slice(1)}`, /f\.\w+ begins otherwise/],
      [content.slice(0, 5_000) + content.slice(5_000).replaceAll('line', 'LINE'), /holds other bytes/],
      [content.slice(0, 5_000), /has 5000 bytes, but it was read up to byte \d+/],
    ]
    for (const [text, message] of changed) {
      write(name, compress(text))
      await expect(readFiles(open(name), directory, { from })).rejects.toThrow(message)
    }
    write(name, compress(content))
    expect((await readFiles(open(name), directory, { from })).values).toEqual(texts.slice(part.values.length))
  })

  test('a last line without its end that goes on later is an error, more chunks behind a whole line are read', async () => {
    write(name, compress('one\ntw'))
    const { positions } = await readFiles(open(name), directory)
    write(name, Buffer.concat([compress('one\ntw'), compress('o\n')]))
    await expect(readFiles(open(name), directory, { from: positions })).rejects.toThrow(/its last line was not whole/)
    write(name, compress('one\n'))
    const whole = await readFiles(open(name), directory)
    write(name, Buffer.concat([compress('one\n'), compress('two\n')]))
    expect((await readFiles(open(name), directory, { from: whole.positions })).values).toEqual(['two'])
  })
})

test('zeros behind a gzip file are padding', async () => {
  write('f.gz', Buffer.concat([gzipSync('a\n'), Buffer.alloc(100_000)]))
  expect((await readFiles(open('f.gz'), directory)).values).toEqual(['a'])
})

test('the option says what the name does not, and what the name says wrongly', async () => {
  write('f', zstdCompressSync('a\n'))
  write('g.gz', 'plain\n')
  expect((await readFiles(open('f', 10, 'zstd'), directory)).values).toEqual(['a'])
  expect((await readFiles(open('g.gz', 10, 'none'), directory)).values).toEqual(['plain'])
  await expect(readFiles(open('g.gz'), directory)).rejects.toThrow(/damaged or cut off gzip.*set `compression`/)
  // @ts-expect-error not a compression
  expect(() => fileSource({ path: 'f', decode: lines(), compression: 'brotli' })).toThrow(/brotli/)
})

test('a small file of much content is read in bounded memory (C8)', async () => {
  const block = gzipSync(Buffer.from(`${'0'.repeat(1023)}\n`.repeat(64 * 1024)), { level: 1 })
  write('f.gz', Buffer.concat(Array.from({ length: 4 }, () => block)))
  const source = open('f.gz', 256 * 1024)
  await using reader = await source.createReader(contextIn(directory))
  await reader.assign([{ split: { id: 'f.gz' }, position: START }])
  const before = process.memoryUsage().rss
  let bytes = 0
  let peak = 0
  for (let polled = await reader.poll(never); polled.kind !== 'ended'; polled = await reader.poll(never)) {
    if (polled.kind === 'records') bytes = polled.after.byte
    peak = Math.max(peak, process.memoryUsage().rss - before)
  }
  expect(bytes).toBe(4 * 64 * 1024 * 1024)
  expect(peak).toBeLessThan(200 * 1024 * 1024)
})
