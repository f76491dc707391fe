import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lines, parseLineageId, parseOperatorId } from '../../../engine/api/index.ts'
import { nodeRuntime } from '../../../engine/host/node-runtime.ts'
import { nodeFileOperations, type FileOperations } from '../../../clients/file/operations.ts'
import { FileWriter } from '../../../sinks/file/writer.ts'
import { silent, SinkGeneration } from '../../conformance/sink-generation.ts'
import { fileEnvironment, numbersIn } from './file-environment.ts'

const NO_TIMES: readonly number[] = []

async function writerOn(directory: string, fs: Partial<FileOperations>, more: { readonly maxPartBytes?: number } = {}) {
  let counter = 0
  const failures: unknown[] = []
  const writer = await FileWriter.create<string>({
    directory,
    encode: lines(),
    maxPartBytes: more.maxPartBytes ?? 1_000_000_000,
    staysOpen: undefined,
    compression: undefined,
    extension: '.txt',
    fs: { ...nodeFileOperations, ...fs },
    context: {
      nextName: () => `n--${(counter += 1)}`,
      memoryBudgetBytes: 1024 * 1024,
      fail: (error) => void failures.push(error),
      lineage: parseLineageId('abcdefgh1234'),
      operator: parseOperatorId('out'),
      ...nodeRuntime(silent),
      signal: new AbortController().signal,
    },
  })
  return { writer, failures }
}

const line = 'x'.repeat(1023)
const mebibyte = Array.from({ length: 1024 }, () => line)

describe('the file writer', () => {
  test('pushes back while the disk is behind, and goes on when it has caught up (C8)', async () => {
    await using environment = await fileEnvironment()
    const gate = Promise.withResolvers<void>()
    const { writer } = await writerOn(environment.directory, {
      write: async (fd, bytes, offset) => {
        await gate.promise
        return nodeFileOperations.write(fd, bytes, offset)
      },
    })
    let pushedBack: void | Promise<void> = undefined
    let batches = 0
    for (; pushedBack === undefined && batches < 100; batches += 1) {
      pushedBack = writer.write({ values: mebibyte, timestamps: NO_TIMES })
    }
    expect(batches).toBeLessThanOrEqual(2)
    gate.resolve()
    await pushedBack
    const parts = await writer.prepareCommit({ endOfInput: false })
    expect(parts.map((part) => part.sizeBytes)).toEqual([batches * 1024 * 1024])
    await writer[Symbol.asyncDispose]()
  })

  test.each(['createFile', 'write', 'fsync', 'link'] as const)(
    'says that %s failed, and never hands out the part',
    async (operation) => {
      await using environment = await fileEnvironment()
      const full = Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' })
      let isFull = false
      const { writer } = await writerOn(environment.directory, {
        [operation]: (...given: readonly unknown[]) =>
          isFull ? Promise.reject(full) : Reflect.apply(nodeFileOperations[operation], undefined, given),
      })
      isFull = true
      await writer.write({ values: ['one'], timestamps: NO_TIMES })
      // Node names the file of a path, not of a descriptor.
      const isNamed = operation === 'createFile' || operation === 'link'
      const message: unknown = expect.stringMatching(
        `^cannot ${operation} /.*\\.part: ENOSPC: injected; make room there$`,
      )
      await expect(writer.prepareCommit({ endOfInput: false })).rejects.toMatchObject(
        isNamed ? full : { message, cause: full },
      )
      await writer[Symbol.asyncDispose]()
      isFull = false
      expect(await numbersIn(environment.directory)).toEqual([])
    },
  )

  test('fails the attempt at once when a write in the background fails, and takes no more records', async () => {
    await using environment = await fileEnvironment()
    const broken = new Error('EIO: injected')
    const { writer, failures } = await writerOn(environment.directory, { write: () => Promise.reject(broken) })
    await expect(
      (async () => {
        for (let count = 0; count < 100; count += 1) await writer.write({ values: mebibyte, timestamps: NO_TIMES })
      })(),
    ).rejects.toMatchObject({ cause: broken })
    expect(failures).toEqual([expect.objectContaining({ cause: broken })])
    expect(() => writer.write({ values: ['x'], timestamps: NO_TIMES })).toThrow(/cannot write .*: EIO: injected/)
    await expect(writer.prepareCommit({ endOfInput: false })).rejects.toMatchObject({ cause: broken })
    await writer[Symbol.asyncDispose]()
  })

  test('closes a part at its size, not only at a checkpoint', async () => {
    await using environment = await fileEnvironment()
    const { writer } = await writerOn(environment.directory, {}, { maxPartBytes: 1024 * 1024 })
    for (let count = 0; count < 20; count += 1) await writer.write({ values: mebibyte, timestamps: NO_TIMES })
    const parts = await writer.prepareCommit({ endOfInput: false })
    expect(parts).toHaveLength(20)
    expect(parts.map(({ name }) => name)).toEqual(Array.from({ length: 20 }, (_, index) => `n--${index + 1}`))
    expect(readdirSync(environment.directory)).toHaveLength(40)
    await writer[Symbol.asyncDispose]()
  })

  test('leaves no descriptor open, whether it is closed before or after a prepare', async () => {
    await using environment = await fileEnvironment()
    let open = 0
    const counting: Partial<FileOperations> = {
      createFile: (path, mode) => nodeFileOperations.createFile(path, mode).finally(() => (open += 1)),
      openDirectory: (path) => nodeFileOperations.openDirectory(path).finally(() => (open += 1)),
      close: (fd) => nodeFileOperations.close(fd).finally(() => (open -= 1)),
    }
    const { writer } = await writerOn(environment.directory, counting, { maxPartBytes: 1024 * 1024 })
    for (let count = 0; count < 3; count += 1) await writer.write({ values: mebibyte, timestamps: NO_TIMES })
    await writer.write({ values: mebibyte.slice(0, 300), timestamps: NO_TIMES })
    const preparing = writer.prepareCommit({ endOfInput: false })
    await writer.write({ values: mebibyte.slice(0, 300), timestamps: NO_TIMES })
    await writer[Symbol.asyncDispose]()
    expect(open).toBe(0)
    await preparing
  })

  test('never opens a file that is there', async () => {
    await using environment = await fileEnvironment()
    const first = await writerOn(environment.directory, {})
    await first.writer.write({ values: ['first'], timestamps: NO_TIMES })
    await first.writer.prepareCommit({ endOfInput: false })
    const second = await writerOn(environment.directory, {})
    await second.writer.write({ values: ['second'], timestamps: NO_TIMES })
    await expect(second.writer.prepareCommit({ endOfInput: false })).rejects.toMatchObject({ code: 'EEXIST' })
    for (const { writer } of [first, second]) await writer[Symbol.asyncDispose]()
  })
})

describe('the file committer', () => {
  test('refuses a part that is shorter than it was prepared, and says so', async () => {
    await using environment = await fileEnvironment()
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    await job.write([1, 2])
    const prepared = await job.prepare()
    const hidden = readdirSync(environment.directory).find((name) => name.endsWith('.part')) ?? ''
    const path = join(environment.directory, hidden)
    truncateSync(path, statSync(path).size - 1)
    expect(await job.commit(prepared)).toEqual([{ kind: 'lost', reason: expect.stringContaining(path) }])
    expect(await numbersIn(environment.directory)).toEqual([])
  })

  test('stops at what is lost: nothing behind it becomes visible', async () => {
    await using environment = await fileEnvironment()
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    await job.write([1])
    const first = await job.prepare()
    for (const name of readdirSync(environment.directory)) rmSync(join(environment.directory, name))
    await job.write([2])
    const second = await job.prepare()
    const outcomes = await job.commit([...first, ...second])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['lost', 'retry'])
    expect(await numbersIn(environment.directory)).toEqual([])
  })

  test('is unsure of everything when the directory cannot be made durable, and clear when it can', async () => {
    let isBroken = false
    await using environment = await fileEnvironment({
      fs: {
        ...nodeFileOperations,
        openDirectory: (path) =>
          isBroken ? Promise.reject(new Error('EIO: injected')) : nodeFileOperations.openDirectory(path),
      },
    })
    await using job = new SinkGeneration(environment, { generation: 1 })
    await job.open()
    await job.write([1])
    const prepared = await job.prepare()
    isBroken = true
    expect((await job.commit(prepared)).map(({ kind }) => kind)).toEqual(['unknown'])
    isBroken = false
    expect(await job.commitUntilClear(prepared)).toEqual(['already-committed'])
  })

  test('says that a sweep was not clean when something could not be removed, and removes it the next time', async () => {
    let isBroken = true
    await using environment = await fileEnvironment({
      fs: {
        ...nodeFileOperations,
        unlink: (path) => (isBroken ? Promise.reject(new Error('EACCES: injected')) : nodeFileOperations.unlink(path)),
      },
    })
    await using dead = new SinkGeneration(environment, { generation: 1 })
    await dead.open()
    await dead.write([1])
    await dead.prepare()
    await using next = new SinkGeneration(environment, { generation: 2 })
    expect(await next.abortStale()).toEqual({ aborted: 0, clean: false })
    isBroken = false
    expect(await next.abortStale()).toEqual({ aborted: 2, clean: true })
  })
})
