/** Bad lines of files under each policy: each once, whole, at its own byte, whatever the size of a read and wherever reading begins. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { json } from '../../engine/api/index.ts'
import { badLines, csv, fileSource } from '../../sources/file/source.ts'
import { contextIn } from '../conformance/source-run.ts'
import { never, readFiles, START } from './read-files.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-bad-lines-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const write = (name: string, text: string | Buffer): void => writeFileSync(join(directory, name), text)
const NAME = badLines.name

describe('side', () => {
  const long = `{"n":${'9'.repeat(500)}`
  const lines = ['{"n":1}', 'nonsense', '{"n":2}', '', long, '{"n":3}', '[', '{"n":4}', 'last']

  test.each([1, 9, 64, 100_000])(
    'bad lines go out whole with path, byte and error, the others as ever (reads of %i bytes)',
    async (blockBytes) => {
      write('f', lines.join('\r\n'))
      const source = fileSource({ path: 'f', decode: json(), onBadLine: 'side', blockBytes })
      const found = await readFiles(source, directory)
      expect(found.values).toEqual([1, 2, 3, 4].map((n) => ({ n })))
      expect(found.skipped).toBe(0)
      const byteOf = (index: number): number => Buffer.byteLength(lines.slice(0, index).join('\r\n')) + 2
      expect(found.sides[NAME]).toEqual(
        [1, 4, 6, 8].map((index) => ({
          path: 'f',
          byte: byteOf(index),
          text: lines[index],
          error: expect.stringMatching(/JSON/),
        })),
      )
    },
  )

  test('from every position on exactly the bad lines behind it come again', async () => {
    write(
      'f',
      Array.from({ length: 200 }, (_, index) => (index % 3 === 0 ? `bad ${index}` : `{"n":${index}}`)).join('\n'),
    )
    const open = (blockBytes: number) =>
      fileSource({ path: 'f', decode: json(), onBadLine: 'side' as const, blockBytes })
    const whole = await readFiles(open(50), directory)
    expect(whole.sides[NAME]).toHaveLength(67)
    expect(whole.stops.length).toBeGreaterThan(20)
    for (const { position, upTo, bad } of whole.stops) {
      const rest = await readFiles(open(33), directory, { from: new Map([['f', position]]) })
      expect(rest.values).toEqual(whole.values.slice(upTo))
      expect(rest.sides[NAME] ?? []).toEqual(whole.sides[NAME]?.slice(bad))
    }
  })

  test('a CSV record is given with its line ends, and one that is not UTF-8 with its place', async () => {
    write('f', Buffer.concat([Buffer.from('a,b\n1,2\n"x\ny",1,2\n'), Buffer.from([0x41, 0xff, 0x2c, 0x42, 0x0a])]))
    const found = await readFiles(fileSource({ path: 'f', decode: csv(), onBadLine: 'side' }), directory)
    expect(found.values).toEqual([{ a: '1', b: '2' }])
    expect(found.sides[NAME]).toEqual([
      { path: 'f', byte: 8, text: '"x\ny",1,2', error: expect.stringMatching(/^3 fields instead of 2/) },
      { path: 'f', byte: 18, text: 'A\ufffd,B', error: 'not valid UTF-8' },
    ])
  })

  test('behind a byte order mark too', async () => {
    write('f', '\ufeffoh\n1\n')
    const found = await readFiles(fileSource({ path: 'f', decode: json(), onBadLine: 'side' }), directory)
    expect(found.values).toEqual([1])
    expect(found.sides[NAME]).toMatchObject([{ byte: 3, text: 'oh' }])
  })

  test('the log names the first of a file, and how many there were; a counter counts them all', async () => {
    write('f', 'a\n1\nb\nc\n')
    const told: string[] = []
    let counted = 0
    const context = contextIn(directory)
    const source = fileSource({ path: 'f', decode: json(), onBadLine: 'side', blockBytes: 2 })
    await using reader = await source.createReader({
      ...context,
      logger: { ...context.logger, warn: (message) => void told.push(message) },
      metrics: { ...context.metrics, count: (name, delta) => void (counted += name === 'bad-lines' ? delta : 0) },
    })
    await reader.assign([{ split: { id: 'f' }, position: START }])
    for (let polled = await reader.poll(never); polled.kind !== 'ended'; polled = await reader.poll(never)) continue
    expect(told).toEqual([
      expect.stringMatching(/^f, byte 0: .*: sent to bad-lines$/),
      'f: 3 bad lines were sent to bad-lines',
    ])
    expect(counted).toBe(3)
  })
})

test('fail: nothing behind a bad line is given out, also when it was read long before', async () => {
  write('f', '1\nbad\n2\n3\n')
  const source = fileSource({ path: 'f', decode: json(), blockBytes: 6 })
  await using reader = await source.createReader(contextIn(directory))
  await reader.assign([{ split: { id: 'f' }, position: START }])
  const values: unknown[] = []
  const failures: unknown[] = []
  for (let polls = 0; polls < 10; polls += 1) {
    try {
      const polled = await reader.poll(never)
      if (polled.kind === 'records') values.push(...polled.records.values)
    } catch (error) {
      failures.push(error)
    }
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
  }
  expect(values).toEqual([])
  expect(failures.length).toBeGreaterThan(5)
  expect(failures.at(-1)).toMatchObject({ message: expect.stringMatching(/^f, byte 2: .*'skip'.*'side'/) })
})
