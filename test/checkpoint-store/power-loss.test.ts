/** F17: the power is cut before every single operation of a store's life; what was acknowledged is whole, nothing is half there. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { diskStore } from '../../checkpoint-store/disk.ts'
import type { CheckpointStore } from '../../engine/api/index.ts'
import { volatileDisk, type Operation, type VolatileDisk } from './volatile-disk.ts'

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

interface Verdict {
  readonly cuts: number
  readonly facts: number
  readonly violations: readonly string[]
}

/** Cuts the power before operation 0, 1, 2, … until a run gets through. */
async function cutEverywhere(ignores: (operation: Operation) => boolean): Promise<Verdict> {
  const violations: string[] = []
  let facts = 0
  for (let cuts = 0; ; cuts += 1) {
    const acknowledged = new Set<string>()
    let wasCut = false
    const disk = volatileDisk({
      ignores,
      before: (_operation, index) => {
        if (index < cuts) return
        wasCut = true
        return 'cut'
      },
    })
    await runUntilStill(disk, (key) => acknowledged.add(key))
    for (const unsynced of ['nothing', 'names'] as const) {
      const after = await diskStore({ directory: ROOT, fs: disk.survivors(unsynced).operations })
      for (const key of KEYS) {
        const found = await after.get(key)
        facts += 1
        if (found === undefined ? acknowledged.has(key) : Buffer.compare(found, bytesOf(key)) !== 0) {
          violations.push(
            `${key} is ${found === undefined ? 'lost' : `half there`} after a cut before operation ${cuts}`,
          )
        }
      }
    }
    if (!wasCut) return { cuts, facts, violations }
  }
}

/** The store's calls never return once the power is gone: wait until nothing moves any more. */
async function runUntilStill(disk: VolatileDisk, acknowledged: (key: string) => void): Promise<void> {
  let isDone = false
  void diskStore({ directory: ROOT, fs: disk.operations })
    .then((store) => live(store, acknowledged))
    .then(() => {
      isDone = true
    })
  for (let still = 0, seen = -1; !isDone && still < 3; still += 1) {
    if (disk.log.length !== seen) still = 0
    seen = disk.log.length
    await turn()
  }
}

function bytesOf(key: string): Uint8Array {
  return new TextEncoder().encode(`${key}: ${CONTENT}`)
}

describe('after a power loss at any operation', () => {
  test('all that was acknowledged is there, whole, and nothing is half there', async () => {
    const verdict = await cutEverywhere(() => false)
    expect(verdict.violations).toEqual([])
    expect(verdict.cuts).toBeGreaterThan(60)
    expect(verdict.facts).toBe((verdict.cuts + 1) * 2 * KEYS.length)
  })
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
      const { violations } = await cutEverywhere(ignores)
      expect(violations.length).toBeGreaterThan(0)
    })
  }
})
