/** The control connection: what is asked is answered, also when the other side goes away. */
import { expect, test } from 'vitest'
import { TaskFailure, TerminalError } from '../../engine/api/index.ts'
import { Control } from '../../engine/worker/control.ts'
import { frameOf } from '../../engine/worker/frame.ts'
import { socketPair, type SocketPair } from './socket-pair.ts'

interface Conversation extends Disposable {
  readonly left: Control<unknown, unknown, unknown, unknown>
  readonly right: Control<unknown, unknown, unknown, unknown>
  readonly told: unknown[]
  readonly pair: SocketPair
  /** Why the right end was closed. */
  readonly closed: Promise<Error | undefined>
}

async function conversation(answer: (request: unknown) => Promise<unknown>): Promise<Conversation> {
  const pair = await socketPair()
  const told: unknown[] = []
  const closed = Promise.withResolvers<Error | undefined>()
  const left = new Control<unknown, unknown, unknown, unknown>(pair.ends[0], {
    told: () => undefined,
    asked: () => Promise.resolve(),
    closed: () => undefined,
  })
  const right = new Control<unknown, unknown, unknown, unknown>(pair.ends[1], {
    told: (message) => told.push(message),
    asked: answer,
    closed: (error) => closed.resolve(error),
  })
  return { left, right, told, pair, closed: closed.promise, [Symbol.dispose]: () => pair[Symbol.dispose]() }
}

test('answers find who asked, whatever their order', async () => {
  const waits: (() => void)[] = []
  using made = await conversation(async (request) => {
    await new Promise<void>((resolve) => waits.push(resolve))
    return { to: request }
  })
  const asked = [1, 2, 3].map((one) => made.left.ask(one))
  await expect.poll(() => waits.length).toBe(3)
  for (const go of waits.toReversed()) go()
  expect(await Promise.all(asked)).toEqual([{ to: 1 }, { to: 2 }, { to: 3 }])
})

test('what is told comes in order, before what is asked behind it', async () => {
  using made = await conversation(() => Promise.resolve('heard'))
  for (let index = 0; index < 100; index += 1) made.left.tell({ index })
  expect(await made.left.ask('?')).toBe('heard')
  expect(made.told).toEqual(Array.from({ length: 100 }, (_, index) => ({ index })))
})

test('an error comes back as what it was', async () => {
  using made = await conversation(() => Promise.reject(new TerminalError('no such thing')))
  const answer = made.left.ask('?')
  await expect(answer).rejects.toBeInstanceOf(TerminalError)
  await expect(answer).rejects.toThrow('no such thing')
})

test('when the other side goes away everything that is open fails, and what is asked later', async () => {
  using made = await conversation(() => new Promise(() => undefined))
  const open = made.left.ask('?')
  made.right.close()
  await expect(open).rejects.toBeInstanceOf(TaskFailure)
  await expect(made.left.ask('!')).rejects.toBeInstanceOf(TaskFailure)
})

test.each([
  ['not JSON', frameOf('control', 0, { head: Buffer.from('{') }), /is not JSON/],
  ['a message of no kind', frameOf('control', 0, { head: Buffer.from('{}') }), /a control message of kind/],
  ['null', frameOf('control', 0, { head: Buffer.from('null') }), /is no message/],
  [
    'an answer nobody asked for',
    frameOf('control', 0, { head: Buffer.from('{"kind":"value","id":9}') }),
    /nobody asked/,
  ],
  ['records', frameOf('records', 0, { head: Buffer.from('x') }), /a records frame on the control connection/],
])('%s closes the connection and says why', async (_, bytes, reason) => {
  using made = await conversation(() => Promise.resolve())
  made.pair.ends[0].write(bytes)
  expect((await made.closed)?.message).toMatch(reason)
})
