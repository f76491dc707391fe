import { expect, test } from 'vitest'
import { IdPool } from '../../../sinks/kafka/id-pool.ts'

function poolOf(size: number): { readonly pool: IdPool; readonly end: AbortController } {
  const end = new AbortController()
  let counter = 0
  return { pool: new IdPool({ size, nextName: () => `id-${(counter += 1)}`, signal: end.signal }), end }
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(
    () => (settled = true),
    () => (settled = true),
  )
  await Promise.resolve().then(() => undefined)
  await Promise.resolve()
  return settled
}

test('an id is used again when its transaction is settled, and not before', async () => {
  const { pool } = poolOf(2)
  const [first, second] = [await pool.take(), await pool.take()]
  pool.prepared(first, 1)
  pool.prepared(second, 2)
  expect(pool.isExhausted).toBe(true)
  const waiting = pool.take()
  expect(pool.isAwaited).toBe(true)
  expect(await isSettled(waiting)).toBe(false)
  pool.settled(0)
  expect(await isSettled(waiting)).toBe(false)
  pool.settled(1)
  expect(await waiting).toEqual({ name: 'id-1', use: 2 })
  expect(pool.isExhausted).toBe(true)
  pool.settled(2)
  expect(await pool.take()).toEqual({ name: 'id-2', use: 2 })
})

test('an id rests for as long as others are free', async () => {
  const { pool } = poolOf(3)
  const ids = [await pool.take(), await pool.take(), await pool.take()]
  for (const [index, id] of ids.entries()) pool.prepared(id, index + 1)
  pool.settled(3)
  expect([await pool.take(), await pool.take()]).toMatchObject([{ name: 'id-1' }, { name: 'id-2' }])
})

test('where nobody says settled each transaction has an id of its own, and none waits', async () => {
  const { pool } = poolOf(1)
  for (let use = 1; use <= 5; use += 1) {
    const id = await pool.take()
    expect(id).toEqual({ name: `id-${use}`, use: 1 })
    pool.prepared(id, undefined)
  }
})

test('who waits for an id hears of the end', async () => {
  const { pool, end } = poolOf(1)
  await pool.take()
  const waiting = pool.take()
  end.abort(new Error('over'))
  await expect(waiting).rejects.toThrow('over')
  await expect(pool.take()).rejects.toThrow('over')
})
