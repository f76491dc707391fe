/** The worker's side of the conversation, in this process, and what the coordinator makes of processes that are no workers. */
import { expect, test } from 'vitest'
import { TaskFailure, TerminalError } from '../../engine/api/index.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { Figures } from '../../engine/task/figures.ts'
import type { AttemptSpec, HostPort } from '../../engine/task/host.ts'
import { Control } from '../../engine/worker/control.ts'
import type { AskCoordinator, AskWorker, FromWorker, ToWorker, WorkerJob } from '../../engine/worker/messages.ts'
import { WorkerHost, type WorkerLimits } from '../../engine/worker/worker-host.ts'
import { runWorker, type LoadedJob } from '../../engine/worker/worker.ts'
import { socketPair } from './socket-pair.ts'

const JOB: WorkerJob = {
  file: 'job.ts',
  settings: {},
  planHash: 'plan',
  codeIdentity: 'code',
  version: '1',
  store: 'nowhere',
  baseDirectory: '.',
}
const GRAPH = { nodes: [], guarantee: 'exactly-once' } as const
const LOAD: AskWorker = { kind: 'load', job: JOB, index: 0, heartbeatMs: 10 }

async function started(loaded: Partial<LoadedJob> = {}) {
  const pair = await socketPair()
  const told: FromWorker[] = []
  const exits: string[] = []
  runWorker({
    socket: pair.ends[1],
    createRuntime: nodeRuntime,
    load: () =>
      Promise.resolve({
        graph: GRAPH,
        planHash: 'plan',
        codeIdentity: 'code',
        version: '1',
        store: { put: () => Promise.resolve(), getBlob: () => Promise.resolve(new Uint8Array()) },
        ...loaded,
      }),
    exit: (why) => exits.push(why),
  })
  const control = new Control<ToWorker, AskWorker, FromWorker, AskCoordinator>(pair.ends[0], {
    told: (message) => told.push(message),
    asked: (request) => Promise.reject(new TaskFailure(`nobody answers ${request.kind}`)),
    closed: () => undefined,
  })
  return { control, told, exits, [Symbol.dispose]: () => pair[Symbol.dispose]() }
}

test.each([
  [{ version: '2' }, /sluice was changed while the job ran \(version 1, a new worker is 2\)/],
  [{ codeIdentity: 'other' }, /the code of the job was changed while it ran: job\.ts is other .* and code for the run/],
  [{ planHash: 'other' }, /job\.ts gives another graph in a worker \(plan other\) than in the run \(plan plan\)/],
] as const)('a worker that is not the same as the run is refused: %o', async (loaded, reason) => {
  using made = await started(loaded)
  const answer = made.control.ask(LOAD)
  await expect(answer).rejects.toBeInstanceOf(TerminalError)
  await expect(answer).rejects.toThrow(reason)
})

test('it says that it is there, from the load on', async () => {
  using made = await started()
  expect(made.told).toEqual([])
  await made.control.ask(LOAD)
  await expect.poll(() => made.told.length).toBeGreaterThan(2)
  expect(made.told.every(({ kind }) => kind === 'heartbeat')).toBe(true)
})

test('an attempt may be disposed of while it is being prepared, and the next one begins', async () => {
  using made = await started()
  await made.control.ask(LOAD)
  for (const nonce of ['a', 'b', 'c']) {
    const prepared = made.control.ask({ kind: 'prepare', attempt: { nonce, generation: 1 }, index: 0, workers: 2 })
    await made.control.ask({ kind: 'dispose', nonce })
    expect(await prepared).toMatchObject({ address: expect.any(String) })
  }
  const again = made.control.ask({ kind: 'open', nonce: 'a', spec: {} as AttemptSpec, addresses: [] })
  await expect(again).rejects.toThrow('the attempt is over')
  expect(made.exits).toEqual([])
})

test('it ends when it is asked to, and when the coordinator is gone', async () => {
  using made = await started()
  await made.control.ask({ kind: 'exit' })
  expect(made.exits).toEqual(['asked'])
  made.control.close()
  await expect.poll(() => made.exits).toEqual(['asked', 'gone'])
})

const PORT: HostPort = {
  send: () => undefined,
  store: {
    putBlob: () => Promise.reject(new Error('none')),
    getBlob: () => Promise.reject(new Error('none')),
    announceBlob: () => ({ key: 'x', settled: () => undefined }),
  },
  figures: new Figures(),
  signal: new AbortController().signal,
}

test.each([
  [
    'says nonsense',
    ['-e', `require('fs').writeSync(3, 'x'.repeat(99)); setInterval(() => {}, 9)`],
    {},
    /cannot be understood: a frame begins/,
  ],
  ['ends', ['-e', 'process.exit(7)'], {}, /died: exit code 7/],
  ['says nothing', ['-e', 'setInterval(() => {}, 9)'], { startMs: 300 }, /said nothing for 300 ms and was killed/],
] as const)('a process that %s is no worker', async (_, argv, limits: Partial<WorkerLimits>, reason) => {
  await using host = hostOf({ file: process.execPath, argv }, limits)
  const starting = host.start({} as AttemptSpec, PORT)
  await expect(starting).rejects.toBeInstanceOf(TaskFailure)
  await expect(starting).rejects.toThrow(reason)
})

test('a command that is not there is no worker', async () => {
  await using host = hostOf({ file: 'no-such-command', argv: [] }, {})
  await expect(host.start({} as AttemptSpec, PORT)).rejects.toThrow(/could not be started: .*ENOENT/)
})

test('a start that is canceled ends, whatever the workers do', async () => {
  await using host = hostOf({ file: process.execPath, argv: ['-e', 'setInterval(() => {}, 9)'] }, {})
  const cancel = new AbortController()
  const starting = host.start({} as AttemptSpec, { ...PORT, signal: cancel.signal })
  cancel.abort(new TaskFailure('never mind'))
  await expect(starting).rejects.toThrow('never mind')
})

function hostOf(
  command: { readonly file: string; readonly argv: readonly string[] },
  limits: Partial<WorkerLimits>,
): WorkerHost {
  return new WorkerHost({ workers: 2, graph: GRAPH, job: JOB, command, runtime: nodeRuntime(), limits })
}
