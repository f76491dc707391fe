/** F17: the power is cut before every single operation of a store's life; what was acknowledged is whole, nothing is half there. */
import { describe, expect, test } from 'vitest'
import { diskStore } from '../../checkpoint-store/disk.ts'
import type { CheckpointStore } from '../../engine/api/index.ts'
import { cutEverywhere, type Life, type Verdict } from '../clients/file/power-cuts.ts'
import { volatileDisk, type Operation } from '../clients/file/volatile-disk.ts'

const ROOT = '/srv/store'
const CONTENT = 'twenty-four bytes of it.'

/** What two checkpoints do; also with concurrent puts, a deeper directory and a name that is taken. */
async function live(store: CheckpointStore, acknowledged: (key: string) => void): Promise<void> {
  const create = async (key: string): Promise<void> => {
    await store.create(key, bytesOf(key))
    acknowledged(key)
  }
  const put = async (key: string): Promise<void> => {
    await store.put(key, bytesOf(key))
    acknowledged(key)
  }
  await create('job/log/1')
  await Promise.all([put('job/blob/1/a'), put('job/blob/1/b'), put('job/blob/1/c')])
  await create('job/log/2')
  await create('job/log/2')
  await Promise.all([put('job/blob/1/d'), create('job/log/3')])
}

const KEYS = ['job/log/1', 'job/log/2', 'job/log/3', ...['a', 'b', 'c', 'd'].map((one) => `job/blob/1/${one}`)]

function storeLife(): Life {
  const acknowledged = new Set<string>()
  return {
    live: async (disk) =>
      live(await diskStore({ directory: ROOT, fs: disk.operations }), (key) => acknowledged.add(key)),
    judge: async (survivors) => {
      const after = await diskStore({ directory: ROOT, fs: survivors.operations })
      const violations: string[] = []
      for (const key of KEYS) {
        const found = await after.get(key)
        if (found === undefined ? acknowledged.has(key) : Buffer.compare(found, bytesOf(key)) !== 0) {
          violations.push(`${key} is ${found === undefined ? 'lost' : 'half there'}`)
        }
      }
      return { facts: KEYS.length, violations }
    },
  }
}

const cutStoreEverywhere = (ignores: (operation: Operation) => boolean): Promise<Verdict> =>
  cutEverywhere(ignores, storeLife)

function bytesOf(key: string): Uint8Array {
  return new TextEncoder().encode(`${key}: ${CONTENT}`)
}

describe('after a power loss at any operation', () => {
  test('all that was acknowledged is there, whole, and nothing is half there', async () => {
    const verdict = await cutStoreEverywhere(() => false)
    expect(verdict.violations).toEqual([])
    expect(verdict.cuts).toBeGreaterThan(60)
    expect(verdict.facts).toBe((verdict.cuts + 1) * 2 * KEYS.length)
  })
})

test('a root that somebody made and died before its name was durable is made durable by the next to open it', async () => {
  const disk = volatileDisk()
  const { operations } = disk
  for (const path of ['/srv', '/srv/store']) await operations.mkdir(path, 0o700)
  await operations.fsync(await operations.openDirectory('/'))
  const store = await diskStore({ directory: ROOT, fs: operations })
  await store.create('job/log/1', bytesOf('job/log/1'))
  const after = await diskStore({ directory: ROOT, fs: disk.survivors('nothing').operations })
  expect(await after.get('job/log/1')).toEqual(bytesOf('job/log/1'))
})

describe('the power-loss harness finds a store that', () => {
  const isDirectory = (path: string): boolean => !path.includes('~')
  const bugs: Readonly<Record<string, (operation: Operation) => boolean>> = {
    'does not fsync its files': ({ name, path }) => name === 'fsync' && !isDirectory(path),
    'does not fsync the directory': ({ name, path }) => name === 'fsync' && /\/(log|1)$/.test(path),
    'does not fsync the parent of a new directory': ({ name, path }) => name === 'fsync' && /\/(job|blob)$/.test(path),
    'does not fsync the parent of a new root': ({ name, path }) => name === 'fsync' && path === '/srv',
  }
  for (const [bug, ignores] of Object.entries(bugs)) {
    test(`${bug}`, async () => {
      const { violations } = await cutStoreEverywhere(ignores)
      expect(violations.length).toBeGreaterThan(0)
    })
  }
})
