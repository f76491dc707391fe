/**
 * What every checkpoint store must do, as named checks that return or throw: run by `testCheckpointStore`, and against seeded broken stores
 * to show that each of them can fail. Each check works under a prefix of its own.
 */
import assert from 'node:assert/strict'
import type { CheckpointStore, Key } from '../../engine/api/index.ts'

/** How one kind of store is opened. A check may open several on the same data, as several processes would. */
export interface StoreUnderTest {
  /** The same data each time, one check after the other and side by side. */
  readonly open: () => Promise<CheckpointStore>
  /** After `store` was disposed of: what a process started later would find. Default: `open`. */
  readonly reopen?: (store: CheckpointStore) => Promise<CheckpointStore>
  /** Creates `key` once in each of `count` other processes at the same time and returns their answers. Left out: cannot be shared. */
  readonly createInOtherProcesses?: (key: Key, count: number) => Promise<readonly ('created' | 'exists')[]>
}

/** Resolves when the store holds what is asked of it. All keys begin with `prefix`. */
export type StoreCheck = (store: StoreUnderTest, prefix: string) => Promise<void>

const CONTENDERS = 32
const PROCESSES = 4
const BIG_BYTES = 8 * 1024 * 1024

/** By what they say of a store; for a runner of your own. Each rejects with what went wrong. */
export const storeChecks: Readonly<Record<string, StoreCheck>> = {
  'what is created is read back': async ({ open }, prefix) => {
    await using store = await open()
    assert.equal(await store.get(`${prefix}absent`), undefined)
    assert.equal(await store.create(`${prefix}one`, text('first')), 'created')
    assert.deepEqual(await read(store, `${prefix}one`), text('first'))
  },

  'create never overwrites, neither what was created nor what was put': async ({ open }, prefix) => {
    await using store = await open()
    await store.create(`${prefix}created`, text('first'))
    assert.equal(await store.create(`${prefix}created`, text('second')), 'exists')
    assert.deepEqual(await read(store, `${prefix}created`), text('first'))
    await store.put(`${prefix}put`, text('first'))
    assert.equal(await store.create(`${prefix}put`, text('second')), 'exists')
    assert.deepEqual(await read(store, `${prefix}put`), text('first'))
  },

  [`of ${CONTENDERS} concurrent creates of one key exactly one wins, and its bytes are there`]: async (
    { open },
    prefix,
  ) => {
    await using one = await open()
    await using two = await open()
    // A store may be private to its opener.
    await one.put(`${prefix}shared`, text('yes'))
    const stores = (await two.get(`${prefix}shared`)) === undefined ? [one] : [one, two]
    for (let round = 0; round < 5; round += 1) {
      const key = `${prefix}race-${round}`
      const answers = await Promise.all(
        Array.from({ length: CONTENDERS }, async (_, index) => {
          const store = stores[index % stores.length] ?? one
          return store.create(key, text(`contender ${index}`))
        }),
      )
      const winners = answers.flatMap((answer, index) => (answer === 'created' ? [index] : []))
      assert.equal(winners.length, 1, `${winners.length} of ${CONTENDERS} creates of ${key} won`)
      assert.deepEqual(await read(one, key), text(`contender ${winners[0]}`))
    }
  },

  'of concurrent creates from several processes exactly one wins': async (store, prefix) => {
    if (store.createInOtherProcesses === undefined) return
    const answers = await store.createInOtherProcesses(`${prefix}race`, PROCESSES)
    assert.equal(answers.length, PROCESSES)
    assert.equal(answers.filter((answer) => answer === 'created').length, 1, answers.join())
  },

  'what was created and put is there after a reopen': async ({ open, reopen = open }, prefix) => {
    const store = await open()
    await store.create(`${prefix}created`, text('created'))
    await store.put(`${prefix}put`, text('put'))
    await store[Symbol.asyncDispose]()
    await using again = await reopen(store)
    assert.deepEqual(await read(again, `${prefix}created`), text('created'))
    assert.deepEqual(await read(again, `${prefix}put`), text('put'))
    assert.equal(await again.create(`${prefix}created`, text('late')), 'exists')
  },

  'every byte value comes back as it was': async ({ open }, prefix) => {
    await using store = await open()
    const bytes = Uint8Array.from({ length: 512 }, (_, index) => index % 256)
    await store.create(`${prefix}created`, bytes)
    await store.put(`${prefix}put`, bytes)
    assert.deepEqual(await read(store, `${prefix}created`), bytes)
    assert.deepEqual(await read(store, `${prefix}put`), bytes)
  },

  'no bytes at all are something, not nothing': async ({ open }, prefix) => {
    await using store = await open()
    assert.equal(await store.create(`${prefix}created`, new Uint8Array()), 'created')
    await store.put(`${prefix}put`, new Uint8Array())
    assert.deepEqual(await read(store, `${prefix}created`), new Uint8Array())
    assert.deepEqual(await read(store, `${prefix}put`), new Uint8Array())
    assert.equal(await store.create(`${prefix}created`, text('late')), 'exists')
  },

  'a part of a larger buffer is written as that part, and its later reuse changes nothing': async (
    { open },
    prefix,
  ) => {
    await using store = await open()
    const buffer = new Uint8Array(64).fill(1)
    await store.create(`${prefix}created`, buffer.subarray(10, 20))
    await store.put(`${prefix}put`, buffer.subarray(10, 20))
    buffer.fill(2)
    for (const key of [`${prefix}created`, `${prefix}put`]) {
      const bytes = await read(store, key)
      assert.deepEqual(bytes, new Uint8Array(10).fill(1))
      assert.deepEqual(await read(store, key), new Uint8Array(10).fill(1), 'a reader changed what is stored')
    }
  },

  [`${BIG_BYTES} bytes come back whole`]: async ({ open }, prefix) => {
    await using store = await open()
    const bytes = new Uint8Array(BIG_BYTES)
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = (index * 31 + (index >>> 12)) % 256
    await store.put(`${prefix}big`, bytes)
    const found = await store.get(`${prefix}big`)
    assert.equal(found?.byteLength, BIG_BYTES)
    assert.equal(Buffer.compare(found ?? new Uint8Array(), bytes), 0)
  },

  'list gives exactly the keys below the prefix': async ({ open }, prefix) => {
    await using store = await open()
    const below = ['a/1', 'a/2', 'a/deep/er/3'].map((key) => `${prefix}${key}`)
    for (const key of [...below, `${prefix}ab/4`, `${prefix}b`]) await store.put(key, text(key))
    assert.deepEqual((await keysOf(store, `${prefix}a/`)).toSorted(), below)
    assert.deepEqual(await keysOf(store, `${prefix}absent/`), [])
    assert.equal((await keysOf(store, prefix)).length, 5)
  },

  'delete may come again, and takes away nothing else': async ({ open }, prefix) => {
    await using store = await open()
    await store.put(`${prefix}one`, text('one'))
    await store.put(`${prefix}two`, text('two'))
    await store.delete(`${prefix}one`)
    await store.delete(`${prefix}one`)
    await store.delete(`${prefix}never/there`)
    assert.equal(await store.get(`${prefix}one`), undefined)
    assert.deepEqual(await keysOf(store, prefix), [`${prefix}two`])
    assert.equal(await store.create(`${prefix}one`, text('again')), 'created')
  },

  'what is not a key is refused by every verb': async ({ open }, prefix) => {
    await using store = await open()
    const odd = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/..',
      'a/../b',
      './a',
      'a b',
      'a\\b',
      'a\0b',
      'ä',
      'a\n',
    ]
    for (const key of [...odd, `${prefix}../../x`, 'x'.repeat(2_000)]) {
      const shown = JSON.stringify(key.slice(0, 40))
      await assert.rejects(async () => store.create(key, text('x')), Error, `create ${shown}`)
      await assert.rejects(async () => store.put(key, text('x')), Error, `put ${shown}`)
      await assert.rejects(async () => store.get(key), Error, `get ${shown}`)
      await assert.rejects(async () => store.delete(key), Error, `delete ${shown}`)
    }
    for (const odd of ['..', '../', '/', 'a', 'a/../']) await assert.rejects(() => keysOf(store, odd), Error, odd)
  },

  'a store says where it is': async ({ open }) => {
    await using store = await open()
    assert.match(store.uri, /^[a-z][a-z0-9+.-]*:/)
  },
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** A plain Uint8Array, so that a Buffer compares equal. */
async function read(store: CheckpointStore, key: Key): Promise<Uint8Array> {
  const bytes = await store.get(key)
  assert.ok(bytes !== undefined, `${key} is not there`)
  const plain = new Uint8Array(bytes)
  // What a reader does to its copy must not reach the store.
  bytes.fill(255)
  return plain
}

async function keysOf(store: CheckpointStore, prefix: Key): Promise<Key[]> {
  const keys: Key[] = []
  for await (const key of store.list(prefix)) keys.push(key)
  return keys
}
