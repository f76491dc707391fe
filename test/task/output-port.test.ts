/** What leaves a task: with credit, without it, and when nobody wants it any more. */
import { expect, test } from 'vitest'
import { parseOperatorId, TerminalError } from '../../engine/api/index.ts'
import { ChainGuard } from '../../engine/operators/chain-guard.ts'
import type { ExchangeEdge } from '../../engine/operators/exchange-edge.ts'
import { ChannelQueue, type ChannelWriter } from '../../engine/task/channel.ts'
import { OutputPort } from '../../engine/task/output-port.ts'
import { Pusher } from '../../engine/task/pusher.ts'
import { Turns } from '../../engine/task/turns.ts'
import { runtime } from './attempt.ts'
import { turns } from './lives.ts'

/** With one record for each of so many subtasks. */
function edgeTo(subtasks: number): ExchangeEdge {
  const [from, to] = [parseOperatorId('from'), parseOperatorId('to')]
  return {
    exchange: { index: 0, from, fromVertex: from, to, toVertex: to, port: 0, partition: { kind: 'rebalance' } },
    buffers: Array.from({ length: subtasks }, (_, index) => ({ values: [index], timestamps: [index] })),
    push: () => undefined,
  }
}

test('records that no channel takes are one failure, also where one of the channels had no room yet', async () => {
  const rejections: unknown[] = []
  const listen = (error: unknown): number => rejections.push(error)
  process.on('unhandledRejection', listen)
  const credit = Promise.withResolvers<void>()
  const refusing = (hasCredit: boolean): ChannelWriter => ({
    hasCredit,
    whenCredit: () => credit.promise,
    send: () => {
      throw new TerminalError('cannot leave the process')
    },
  })
  const port = new OutputPort(edgeTo(2), [refusing(false), refusing(true)])
  expect(() => port.flush(true)).toThrow(TerminalError)
  credit.resolve()
  await turns(3)
  process.off('unhandledRejection', listen)
  expect(rejections).toEqual([])
})

test('a task that was halted while it was being opened waits for no channel', async () => {
  const halt = new AbortController()
  halt.abort(new Error('the attempt is over'))
  const pusher = new Pusher({
    guard: new ChainGuard(() => undefined),
    sinks: [],
    outputs: [new OutputPort(edgeTo(1), [new ChannelQueue(0)])],
    turns: new Turns(runtime),
    signal: halt.signal,
  })
  let isOver = false
  void Promise.resolve(pusher.flush(true)).then(() => {
    isOver = true
  })
  await turns(3)
  expect(isOver).toBe(true)
})
