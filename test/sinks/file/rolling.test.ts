/** Parts that stay open across checkpoints: when they become visible, and what becomes of one that a restart finds. */
import { appendFileSync, readdirSync, readFileSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { json, TerminalError } from '../../../engine/api/index.ts'
import { nodeFileOperations } from '../../../clients/file/operations.ts'
import { openPartCodec } from '../../../sinks/file/open-part.ts'
import { fileSink, type OpenPart } from '../../../sinks/file/sink.ts'
import { History, SinkGeneration, type StoredCommit, type StoredState } from '../../conformance/sink-generation.ts'
import { fileEnvironment, numbersIn, type FileEnvironment, type FileEnvironmentOptions } from './file-environment.ts'

type Generation = Awaited<ReturnType<typeof opened>>

async function opened(
  environment: FileEnvironment,
  generation: number,
  more: { readonly states?: readonly StoredState[]; readonly parallelism?: number; readonly history?: History } = {},
) {
  const { states = [], ...options } = more
  const job = new SinkGeneration(environment, { generation, ...options })
  await job.open(states)
  return job
}

const staying = (more: FileEnvironmentOptions = {}): Promise<FileEnvironment> =>
  fileEnvironment({ rolling: 'when-full', ...more })

const openParts = (job: Generation): readonly OpenPart[] =>
  job.states.map((state) => openPartCodec.decode(state.bytes, state.version))
const hiddenIn = (directory: string): readonly string[] => readdirSync(directory).filter((name) => name.startsWith('.'))

describe('a part that stays open', () => {
  test('holds the records of several checkpoints, and is handed out when it is full', async () => {
    await using environment = await staying({ maxPartBytes: 100 })
    await using job = await opened(environment, 1)
    const committables: number[] = []
    for (let number = 0; number < 10; number += 1) {
      await job.write([number])
      const prepared = await job.prepare()
      committables.push(prepared.length)
      await job.commitUntilClear(prepared)
      await job.forget(prepared)
    }
    // A line is of 34 bytes: every third makes it full.
    expect(committables).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 1, 0])
    expect(await numbersIn(environment.directory)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(openParts(job)).toMatchObject([{ contentBytes: 34, compression: 'none', extension: '.ndjson' }])
    expect(hiddenIn(environment.directory)).toHaveLength(1)
    await job.commitUntilClear(await job.prepare({ endOfInput: true }))
    expect(job.states).toEqual([])
    expect(await numbersIn(environment.directory)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('is handed out at the first checkpoint behind its age, which counts from its first record', async () => {
    await using environment = await staying({ maxPartAgeMs: 60 })
    await using job = await opened(environment, 1)
    expect(await job.prepare()).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 70))
    await job.write([1])
    expect(await job.prepare()).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 70))
    expect(await job.prepare()).toHaveLength(1)
    expect(await job.prepare()).toEqual([])
  })

  test('is fsynced at each checkpoint that has something new for it, its name once', async () => {
    const done: string[] = []
    await using environment = await staying({
      fs: {
        ...nodeFileOperations,
        fsync: (fd) => {
          done.push('fsync')
          return nodeFileOperations.fsync(fd)
        },
        openDirectory: (path) => {
          done.push('directory')
          return nodeFileOperations.openDirectory(path)
        },
      },
    })
    await using job = await opened(environment, 1)
    const during = async (act: () => Promise<unknown>): Promise<string> => {
      done.length = 0
      await act()
      return done.join(' ')
    }
    await job.write([1])
    expect(await during(() => job.prepare())).toBe('fsync directory fsync')
    expect(await during(() => job.prepare())).toBe('')
    await job.write([2])
    expect(await during(() => job.prepare())).toBe('fsync')
  })

  test('what is written behind the cut does not count for it, while it is still being prepared (C4)', async () => {
    const gate = Promise.withResolvers<void>()
    let isGated = false
    await using environment = await staying({
      maxPartBytes: 100,
      fs: {
        ...nodeFileOperations,
        fsync: async (fd) => {
          if (isGated) await gate.promise
          return nodeFileOperations.fsync(fd)
        },
      },
    })
    await using job = await opened(environment, 1)
    isGated = true
    await job.write([1])
    const preparing = job.prepare()
    const { states } = job
    // Full behind the cut, and sealed while its fsync is pending.
    await job.write([2, 3, 4, 5])
    gate.resolve()
    expect(await preparing).toEqual([])
    await using next = await opened(environment, 2, { states })
    await next.commitUntilClear(await next.prepare())
    expect(await numbersIn(environment.directory)).toEqual([1])
    expect(job.failures).toEqual([])
  })
})

describe('a part that a restart finds open', () => {
  /** Two records in a checkpoint, one behind it. */
  async function left(environment: FileEnvironment): Promise<readonly StoredState[]> {
    await using dead = await opened(environment, 1)
    await dead.write([1, 2])
    await dead.prepare()
    const { states } = dead
    await dead.write([3])
    await dead.prepare()
    return states
  }
  const pathOf = (environment: FileEnvironment, states: readonly StoredState[]): string => {
    const [state] = states
    if (state === undefined) throw new Error('no state')
    const { name } = openPartCodec.decode(state.bytes, state.version)
    return join(environment.directory, `.${name}.part`)
  }
  let generation = 1
  async function next(
    environment: FileEnvironment,
    states: readonly StoredState[],
    more: Parameters<typeof opened>[2] = {},
  ): Promise<readonly StoredCommit[]> {
    await using job = await opened(environment, (generation += 1), { ...more, states })
    await job.write([9])
    const prepared = await job.prepare({ endOfInput: true })
    await job.commitUntilClear(prepared)
    await job.forget(prepared)
    return prepared
  }

  const rests = [Buffer.from('what a zombie appends'), Buffer.alloc(100_000), gzipSync('x').subarray(0, 12)]
  const kinds = ['none', 'gzip', 'zstd'] as const
  test.each(kinds.flatMap((kind) => rests.map((rest) => [kind, rest.length, rest] as const)))(
    'is copied as far as it is valid, before what is new (%s), whatever lies behind (%i bytes)',
    async (kind, _, rest) => {
      await using environment = await staying(kind === 'none' ? {} : { compression: kind })
      const states = await left(environment)
      const path = pathOf(environment, states)
      const before = readFileSync(path)
      appendFileSync(path, rest)
      expect(await next(environment, states)).toHaveLength(2)
      expect(await numbersIn(environment.directory)).toEqual([1, 2, 9])
      expect(before.length).toBeGreaterThan(10)
      expect(hiddenIn(environment.directory)).toEqual([])
    },
  )

  test('is completed whatever the options are by then: another place, format, compression, or rolling', async () => {
    await using environment = await staying({ compression: 'gzip' })
    const states = await left(environment)
    const elsewhere = join(environment.directory, 'elsewhere')
    const moved: FileEnvironment = {
      ...environment,
      createSink: () => fileSink({ path: elsewhere, encode: json(), extension: '.txt' }),
    }
    await next(moved, states)
    const names = readdirSync(elsewhere)
    expect(names.map((name) => name.slice(name.lastIndexOf('--') + 14))).toEqual(['.ndjson.gz', '.txt'])
    expect(await numbersIn(elsewhere)).toEqual([1, 2, 9])
    // Also the old one, in the old place.
    expect(hiddenIn(environment.directory)).toEqual([])
  })

  test('and is gone or too short: is a loss that names sink, file and bytes (C7, F18)', async () => {
    await using environment = await staying()
    const states = await left(environment)
    const path = pathOf(environment, states)
    truncateSync(path, 60)
    await expect(next(environment, states)).rejects.toThrow(TerminalError)
    await expect(next(environment, states)).rejects.toThrow(
      /sink "out": .*\.part has only 60; the checkpoint holds 68 bytes in it.*--drop out/,
    )
    unlinkSync(path)
    await expect(next(environment, states)).rejects.toThrow(/sink "out": .*\.part is gone; the checkpoint holds 68/)
    expect(await numbersIn(environment.directory)).toEqual([])
  })

  test('and was delivered since, in a rollback: is passed over', async () => {
    await using environment = await staying()
    const states = await left(environment)
    await next(environment, states)
    // What is restored is not the newest checkpoint: a new lineage.
    await next(environment, states, { history: new History() })
    expect(await numbersIn(environment.directory)).toEqual([1, 2, 9, 9])
  })

  test('leaves no descriptor open, whatever becomes of it', async () => {
    let open = 0
    let reads = 0
    const count = <T>(opening: Promise<T>): Promise<T> =>
      opening.then((fd) => {
        open += 1
        return fd
      })
    await using environment = await staying({
      fs: {
        ...nodeFileOperations,
        createFile: (path, mode) => count(nodeFileOperations.createFile(path, mode)),
        openDirectory: (path) => count(nodeFileOperations.openDirectory(path)),
        openForReading: (path) => count(nodeFileOperations.openForReading(path)),
        read: (fd, bytes, position) => {
          reads += 1
          return reads === 1 ? Promise.reject(new Error('EIO: injected')) : nodeFileOperations.read(fd, bytes, position)
        },
        close: (fd) => nodeFileOperations.close(fd).finally(() => (open -= 1)),
      },
    })
    const states = await left(environment)
    expect(open).toBe(0)
    await expect(next(environment, states)).rejects.toThrow(/EIO: injected/)
    expect(open).toBe(0)
  })
})

test('writer state that is none is refused', () => {
  for (const value of ['{}', '{"directory":"/a","name":"n","lineage":"l","extension":"","compression":"x"}']) {
    expect(() => openPartCodec.decode(Buffer.from(value), 1)).toThrow(/not an open file part/)
  }
  expect(() => openPartCodec.decode(Buffer.from('{}'), 2)).toThrow(/version 2/)
})
