/** F16: every single operation of the store fails once, with every error a disk has. */
import { beforeEach, describe, expect, test } from 'vitest'
import { diskStore } from '../../checkpoint-store/disk.ts'
import { InDoubtError, RetryableError, type CheckpointStore } from '../../engine/api/index.ts'
import { failure, volatileDisk, type Operation, type VolatileDisk } from '../clients/file/volatile-disk.ts'

const ROOT = '/store'
const GOOD = new TextEncoder().encode('the last good one')
const NEXT = new TextEncoder().encode('the next one, a bit longer')

let fail: (operation: Operation, index: number) => void
let disk: VolatileDisk
let store: CheckpointStore

beforeEach(async () => {
  fail = () => undefined
  disk = volatileDisk({ before: (operation, index) => fail(operation, index) })
  store = await diskStore({ directory: ROOT, fs: disk.operations })
  await store.create('job/log/1', GOOD)
})

const writes = {
  create: (key: string) => store.create(key, NEXT),
  put: (key: string) => store.put(key, NEXT),
}

for (const [verb, write] of Object.entries(writes)) {
  for (const code of ['ENOSPC', 'EIO', 'EROFS', 'EDQUOT']) {
    for (const where of ['createFile', 'write', 'fsync', 'close', verb === 'create' ? 'link' : 'rename']) {
      test(`${code} in ${where}: ${verb} may be called again, the last one is good, nothing is left behind`, async () => {
        let fired = 0
        fail = ({ name, path }) => {
          if (name !== where || (name === 'fsync' && !path.includes('~')) || fired > 0) return
          fired += 1
          throw failure(code)
        }
        await expect(write('job/log/2')).rejects.toBeInstanceOf(RetryableError)
        expect(fired).toBe(1)
        expect(Buffer.from((await store.get('job/log/1')) ?? [])).toEqual(Buffer.from(GOOD))
        expect(await store.get('job/log/2')).toBeUndefined()
        expect(disk.fileNames('/store/job/log')).toEqual(['1'])

        await write('job/log/2')
        expect(Buffer.from((await store.get('job/log/2')) ?? [])).toEqual(Buffer.from(NEXT))
        expect(disk.fileNames('/store/job/log')).toEqual(['1', '2'])
      })
    }
  }

  test(`a failed fsync of the directory leaves ${verb} in doubt, and no later fsync makes it certain`, async () => {
    fail = ({ name, path }) => {
      if (name === 'fsync' && path === '/store/job/log') throw failure('EIO')
    }
    await expect(write('job/log/2')).rejects.toBeInstanceOf(InDoubtError)
  })
}

test('a failed fsync of the directory is the answer for everybody whose name it may have taken along', async () => {
  let fired = 0
  fail = ({ name, path }) => {
    if (name !== 'fsync' || path !== '/store/job/log' || fired > 0) return
    fired += 1
    throw failure('EIO')
  }
  const answers = await Promise.allSettled(['a', 'b', 'c', 'd'].map((one) => store.put(`job/log/${one}`, GOOD)))
  expect(answers.map((one) => one.status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected'])
  await expect(store.put('job/log/e', GOOD)).resolves.toBeUndefined()
})

test('a new directory whose name is in doubt is not taken for durable the next time', async () => {
  let fired = 0
  fail = ({ name, path }) => {
    if (name !== 'fsync' || path !== '/store/job' || fired > 0) return
    fired += 1
    throw failure('EIO')
  }
  await expect(store.put('job/blob/1', GOOD)).rejects.toBeInstanceOf(InDoubtError)
  expect(disk.fileNames('/store/job')).toEqual(['log'])
  await store.put('job/blob/1', GOOD)
  expect(disk.fileNames('/store/job')).toEqual(['log', 'blob'])
})

test('"exists" is answered only once that name is durable', async () => {
  const before = disk.log.length
  expect(await store.create('job/log/1', NEXT)).toBe('exists')
  expect(disk.log.slice(before).map((one) => `${one.name} ${one.path}`)).toContain('fsync /store/job/log')
})

test('concurrent writers share fsyncs of the directory', async () => {
  const before = disk.log.length
  await Promise.all(Array.from({ length: 20 }, (_, index) => store.put(`job/log/x${index}`, GOOD)))
  const syncs = disk.log.slice(before).filter((one) => one.name === 'fsync' && one.path === '/store/job/log')
  expect(syncs.length).toBeLessThanOrEqual(3)
})

test('a create in a known directory is seven operations, a put six, and no descriptor is kept but the directories', async () => {
  const descriptors = disk.openDescriptors()
  const count = async (act: () => Promise<unknown>): Promise<string[]> => {
    const before = disk.log.length
    await act()
    return disk.log.slice(before).map((one) => one.name)
  }
  const small = new Uint8Array(5)
  expect((await count(() => store.create('job/log/2', small))).toSorted()).toEqual(
    ['createFile', 'write', 'fsync', 'close', 'link', 'unlink', 'fsync'].toSorted(),
  )
  expect(await count(() => store.put('job/log/3', small))).toEqual([
    'createFile',
    'write',
    'fsync',
    'close',
    'rename',
    'fsync',
  ])
  expect(disk.openDescriptors()).toBe(descriptors)
  await store[Symbol.asyncDispose]()
  expect(disk.openDescriptors()).toBe(0)
})

describe('a directory that was removed', () => {
  test('is made again', async () => {
    await disk.operations.unlink('/store/job/log/1')
    await disk.operations.rmdir('/store/job/log')
    await disk.operations.rmdir('/store/job')
    expect(await store.create('job/log/1', NEXT)).toBe('created')
    expect(Buffer.from((await store.get('job/log/1')) ?? [])).toEqual(Buffer.from(NEXT))
  })
})
