/** Compressed parts: each is whole by itself for whoever reads it, about as large as asked for, and its failures are failures. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { nodeFileOperations } from '../../../clients/file/operations.ts'
import { SinkGeneration } from '../../conformance/sink-generation.ts'
import { fileEnvironment, numbersIn, numbersOf } from './file-environment.ts'

/** Its own tool, where the machine has it; ours otherwise. */
function isInstalled(tool: string): boolean {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const RECORDS = 60_000
const BATCH = 500
const numbers = Array.from({ length: RECORDS }, (_, index) => index)

describe.each([
  ['gzip', '.gz'],
  ['zstd', '.zst'],
] as const)('%s', (compression, extension) => {
  test('parts are named by it, of about the size that was asked for, and hold all in order', async () => {
    await using environment = await fileEnvironment({ compression, maxPartBytes: 100_000 })
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    for (let at = 0; at < RECORDS; at += BATCH) await job.write(numbers.slice(at, at + BATCH))
    const prepared = await job.prepare()
    expect(prepared.length).toBeGreaterThan(2)
    await job.commitUntilClear(prepared)
    const names = readdirSync(environment.directory).filter((name) => !name.startsWith('.'))
    expect(names.every((name) => name.endsWith(`.ndjson${extension}`))).toBe(true)
    for (const name of names.slice(0, -1)) {
      expect(statSync(join(environment.directory, name)).size).toBeLessThan(200_000)
    }
    expect(await numbersIn(environment.directory)).toEqual(numbers)
  })

  test.skipIf(!isInstalled(compression))('the tool of the same name reads a part of many chunks', async () => {
    await using environment = await fileEnvironment({ compression, rolling: 'when-full' })
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    for (let number = 0; number < 20; number += 1) {
      await job.write([number])
      await job.prepare({ endOfInput: number === 19 }).then((prepared) => job.commitUntilClear(prepared))
    }
    const [name] = readdirSync(environment.directory).filter((one) => !one.startsWith('.'))
    const bytes = readFileSync(join(environment.directory, name ?? ''))
    const text = execFileSync(compression, ['-dc'], { input: bytes }).toString()
    expect(numbersOf(text)).toEqual(numbers.slice(0, 20))
  })

  test('a write that fails fails the attempt, and nothing is handed out', async () => {
    let isFull = false
    await using environment = await fileEnvironment({
      compression,
      fs: {
        ...nodeFileOperations,
        write: (fd, bytes, offset) =>
          isFull ? Promise.reject(new Error('ENOSPC: injected')) : nodeFileOperations.write(fd, bytes, offset),
      },
    })
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    isFull = true
    await job.write([1])
    await expect(job.prepare()).rejects.toThrow(/cannot write .*\.part: ENOSPC: injected/)
    expect(job.failures).toHaveLength(1)
  })

  test('the event loop is not held (T3)', async () => {
    await using environment = await fileEnvironment({ compression, maxPartBytes: 1e9 })
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    const turns: number[] = []
    for (let at = 0; at < RECORDS; at += BATCH) {
      const before = process.threadCpuUsage()
      await job.write(numbers.slice(at, at + BATCH))
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      const { user, system } = process.threadCpuUsage(before)
      turns.push((user + system) / 1_000)
    }
    await job.prepare()
    // Time of this thread alone, as the machine may be busy with others. The longest few may hold a collection of garbage.
    expect(turns.toSorted((a, b) => b - a)[3]).toBeLessThan(10)
  })
})

test('an extension that says it already is not doubled', async () => {
  await using environment = await fileEnvironment({ compression: 'gzip', extension: '.json.gz' })
  await using job = new SinkGeneration(environment, { generation: 1 })
  await job.open()
  await job.write([1])
  await job.commitUntilClear(await job.prepare())
  const [name = ''] = readdirSync(environment.directory).filter((one) => !one.startsWith('.'))
  expect(name).toMatch(/\d\.json\.gz$|[a-z0-9]\.json\.gz$/)
  expect(numbersOf(gunzipSync(readFileSync(join(environment.directory, name))).toString())).toEqual([1])
})
