import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  json,
  parseJobId,
  parseOperatorId,
  TerminalError,
  type SinkValidateContext,
} from '../../../engine/api/index.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../../engine/checkpoint/trigger.ts'
import { longestName } from '../../../engine/task/external-name.ts'
import { filePartCodec, visibleName } from '../../../sinks/file/committable.ts'
import { fileSink } from '../../../sinks/file/sink.ts'

const base = mkdtempSync(join(tmpdir(), 'sluice-file-sink-'))
afterAll(() => rmSync(base, { recursive: true, force: true }))

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

function context(ids: { readonly job?: string; readonly operator?: string } = {}): SinkValidateContext {
  const { job = 'orders', operator = 'totals' } = ids
  return {
    job: parseJobId(job),
    operator: parseOperatorId(operator),
    parallelism: 1,
    checkpoint: DEFAULT_CHECKPOINT_POLICY,
    longestName: longestName(job, operator),
    baseDirectory: base,
    logger: silent,
    signal: new AbortController().signal,
  }
}

describe('validate', () => {
  test('accepts a directory that can be made, and makes nothing', async () => {
    await fileSink({ path: 'a/b/c', encode: json() }).validate(context())
    expect(readdirSync(base)).toEqual([])
  })

  test('refuses a path below a file, and names the file', async () => {
    writeFileSync(join(base, 'file'), '')
    const validated = fileSink({ path: 'file/out', encode: json() }).validate(context())
    await expect(validated).rejects.toThrow(TerminalError)
    await expect(validated).rejects.toThrow(`${join(base, 'file')} is not a directory`)
  })

  test.skipIf(process.getuid?.() === 0)('refuses a directory that it may not write to', async () => {
    mkdirSync(join(base, 'closed'))
    chmodSync(join(base, 'closed'), 0o500)
    await expect(fileSink({ path: 'closed/out', encode: json() }).validate(context())).rejects.toThrow(TerminalError)
  })

  test('refuses ids that make file names too long', async () => {
    const sink = fileSink({ path: 'out', encode: json() })
    await sink.validate(context({ job: 'j'.repeat(80), operator: 'o'.repeat(80) }))
    await expect(sink.validate(context({ job: 'j'.repeat(100), operator: 'o'.repeat(100) }))).rejects.toThrow(/shorten/)
  })
})

describe('options that cannot be meant are refused at once', () => {
  test.each([
    [{ path: '' }, /path is empty/],
    [{ path: 'out', maxPartBytes: 0 }, /maxPartBytes/],
    [{ path: 'out', maxPartBytes: Number.NaN }, /maxPartBytes/],
    [{ path: 'out', extension: 'txt' }, /extension/],
    [{ path: 'out', extension: '/../x' }, /extension/],
    [{ path: 'out', maxPartAgeMs: 5 }, /maxPartAgeMs means nothing/],
    [{ path: 'out', rolling: 'when-full' as const, maxPartAgeMs: -1 }, /maxPartAgeMs is -1/],
    [{ path: 'out', rolling: 'never' as 'when-full' }, /rolling is never/],
    [{ path: 'out', compression: 'lz4' as 'gzip' }, /compression is lz4/],
  ])('%j', (options, message) => {
    expect(() => fileSink({ encode: json(), ...options })).toThrow(message)
  })
})

describe('names', () => {
  const name = (generation: string, operator: string, counter: string): string =>
    `orders--abcdefgh1234--${generation}--${operator}--0000--${counter}`

  test('visible names sort in commit order', () => {
    const inOrder = [
      name('00000001', 'totals', '000000001'),
      name('00000001', 'totals', '000000002'),
      name('00000001', 'totals', '000000010'),
      name('00000002', 'totals', '000000001'),
      name('00000010', 'totals', '000000001'),
    ].map((one) => visibleName(one, '.ndjson'))
    expect(inOrder.toSorted()).toEqual(inOrder)
    expect(inOrder[0]).toBe('part-00000001--totals--0000--000000001--orders--abcdefgh1234.ndjson')
  })

  test('a visible name has one external name, and dashes in ids move nothing', () => {
    const visible = [
      'a--abcdefgh1234--00000001--b-0001-000000002--0000--000000001',
      'a--abcdefgh1234--00000001--b--0001--000000002',
      '0000-000000001-a--abcdefgh1234--00000001--b--0001--000000002',
    ].map((one) => visibleName(one, ''))
    expect(new Set(visible).size).toBe(3)
  })
})

test('a committable that is none is refused', () => {
  const part = { directory: '/d', name: 'n', visible: 'v', sizeBytes: 3 }
  expect(filePartCodec.decode(filePartCodec.encode(part), 1)).toEqual(part)
  expect(() => filePartCodec.decode(new TextEncoder().encode('{"name":1}'), 1)).toThrow(/not a file part/)
  expect(() => filePartCodec.decode(filePartCodec.encode(part), 2)).toThrow(/version 2/)
})
