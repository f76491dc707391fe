import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryStore, type MemoryStore } from '../../checkpoint-store/memory.ts'
import type { CheckpointStore } from '../../engine/api/index.ts'
import { storeChecks, testCheckpointStore } from '../conformance/store.ts'
import { diskUnderTest, temporaryDirectory } from './disk-under-test.ts'

const directory = temporaryDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const memory = memoryStore()
testCheckpointStore('memory', { open: () => Promise.resolve(memory) })
testCheckpointStore('disk', diskUnderTest(join(directory, 'new', 'store')))

interface Broken {
  readonly finds: RegExp
  readonly make: (sound: MemoryStore) => Partial<CheckpointStore>
}

/** Stores with one seeded mistake each, and the check that must find it. */
const broken: Readonly<Record<string, Broken>> = {
  'every writer wins': {
    finds: /exactly one wins, and its bytes/,
    make: (sound) => ({
      create: async (key, bytes) => {
        if ((await sound.get(key)) === undefined) await Promise.resolve().then(() => sound.put(key, bytes))
        return 'created'
      },
    }),
  },
  'create looks, then writes': {
    finds: /exactly one wins, and its bytes/,
    make: (sound) => ({
      create: async (key, bytes) => {
        if ((await sound.get(key)) !== undefined) return 'exists'
        await sound.put(key, bytes)
        return 'created'
      },
    }),
  },
  'create overwrites': {
    finds: /never overwrites/,
    make: (sound) => ({
      create: async (key, bytes) => {
        const answer = await sound.create(key, bytes)
        await sound.put(key, bytes)
        return answer
      },
    }),
  },
  'put is forgotten when the process ends': {
    finds: /after a reopen/,
    make: (sound) => {
      const unsaved = new Map<string, Uint8Array>()
      return {
        put: (key, bytes) => Promise.resolve(void unsaved.set(key, new Uint8Array(bytes))),
        get: async (key) => unsaved.get(key)?.slice() ?? sound.get(key),
      }
    },
  },
  'empty values are taken for absent': {
    finds: /something, not nothing/,
    make: (sound) => ({
      get: async (key) => {
        const bytes = await sound.get(key)
        return bytes?.byteLength === 0 ? undefined : bytes
      },
    }),
  },
  'bytes go through text': {
    finds: /every byte value/,
    make: (sound) => ({
      put: (key, bytes) => sound.put(key, new TextEncoder().encode(new TextDecoder().decode(bytes))),
    }),
  },
  'the second delete fails': {
    finds: /delete may come again/,
    make: (sound) => ({
      delete: async (key) => {
        if ((await sound.get(key)) === undefined) throw new Error('not there')
        await sound.delete(key)
      },
    }),
  },
  'list does not stop at the slash': {
    finds: /exactly the keys below/,
    make: (sound) => ({
      async *list(prefix) {
        for (const key of sound.snapshot().keys()) if (key.startsWith(prefix.slice(0, -1))) yield key
      },
    }),
  },
  'keys are not checked': {
    finds: /what is not a key/,
    make: () => ({ get: () => Promise.resolve(undefined) }),
  },
  'whole buffers are written': {
    finds: /a part of a larger buffer/,
    make: (sound) => ({ put: (key, bytes) => sound.put(key, new Uint8Array(bytes.buffer)) }),
  },
  'big values are cut': {
    finds: /come back whole/,
    make: (sound) => ({ put: (key, bytes) => sound.put(key, bytes.subarray(0, 1_000_000)) }),
  },
}

describe('the conformance suite finds a store in which', () => {
  for (const [what, { finds, make }] of Object.entries(broken)) {
    test(`${what}`, async () => {
      const sound = memoryStore()
      const open = (): Promise<CheckpointStore> => Promise.resolve({ ...sound, ...make(sound) })
      expect(await failingChecks(open)).toEqual(expect.arrayContaining([expect.stringMatching(finds)]))
    })
  }

  test('nothing is wrong: it finds nothing', async () => {
    const sound = memoryStore()
    expect(await failingChecks(() => Promise.resolve(sound))).toEqual([])
  })
})

async function failingChecks(open: () => Promise<CheckpointStore>): Promise<string[]> {
  const failing: string[] = []
  for (const [what, check] of Object.entries(storeChecks)) {
    await check({ open }, `${failing.length}-x/${what.length}/`).catch(() => failing.push(what))
  }
  return failing
}
