/** Asked from another machine: nothing but the store, by a clock that goes on when somebody sleeps; no process can be seen. */
import { expect, test } from 'vitest'
import { memoryStore } from '../../../checkpoint-store/memory.ts'
import { RetryableError, type Runtime } from '../../../engine/api/index.ts'
import { encodeLogEntry, logKey, type LogEntry } from '../../../engine/checkpoint/log-entry.ts'
import { askJob, requestCheckpoint, type AskOptions, type Answered } from '../../../cli/control/client.ts'
import { Control } from '../../../cli/control/control.ts'
import { MailboxReader, POLL_MS } from '../../../cli/control/mailbox-reader.ts'
import { encodeMessage, type ControlOutcome, type Verb } from '../../../cli/control/protocol.ts'
import { sampleEntry, sampleRetained, type EntrySample } from '../../checkpoint/samples.ts'
import { seeded, VirtualTime } from '../../simulation/virtual-time.ts'
import { runtime } from '../../task/attempt.ts'

const SOCKET = `sluice-${'0a'.repeat(16)}`
const holder = { ...sampleEntry().holder, socket: SOCKET, control: {} }
const { job } = sampleEntry()

class Elsewhere {
  readonly store = memoryStore()
  readonly time = new VirtualTime()
  readonly runtime: Runtime
  readonly asked: Verb[] = []
  answer: (verb: Verb) => Promise<ControlOutcome> = () => new Promise(() => undefined)
  #newest: LogEntry | undefined
  #isAlive = true

  constructor() {
    const { time } = this
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      new Promise((resolve, reject) => {
        const fail = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
        if (signal?.aborted === true) return fail()
        signal?.addEventListener('abort', fail, { once: true })
        time.after(ms, { state: () => (signal?.aborted === true ? 'gone' : 'due'), fire: () => resolve() })
      })
    const monotonicMs = (): number => time.monotonicMs()
    this.runtime = { ...runtime, clock: { now: monotonicMs, monotonicMs }, timers: { ...runtime.timers, sleep } }
  }

  async append(part: EntrySample): Promise<void> {
    const { end: _end, ...before } = this.#newest ?? { ...sampleEntry({ holder }), seq: 0 }
    const seq = before.seq + 1
    this.#newest = sampleEntry({ ...before, kind: 'alive', seq, nonce: `nonce${seq}`, ...part })
    await this.store.create(logKey(job, seq), encodeLogEntry(this.#newest))
  }

  /** A process that says every 1.5 s that it lives, and looks for requests. */
  async live(): Promise<MailboxReader> {
    await this.append({ kind: 'started' })
    const beat = async (): Promise<void> => {
      while (this.#isAlive) {
        await this.runtime.timers.sleep(1_500)
        if (this.#isAlive) await this.append({})
      }
    }
    void beat()
    const ask = (verb: Verb): Promise<ControlOutcome> => {
      this.asked.push(verb)
      return this.answer(verb)
    }
    return new MailboxReader({ job, store: this.store, runtime: this.runtime, holder, ask })
  }

  die(): void {
    this.#isAlive = false
  }

  async hear(verb: Verb, options: Partial<AskOptions> = {}): Promise<Answered> {
    const { store } = this
    return this.pass(
      askJob({
        job,
        store,
        runtime: this.runtime,
        verb,
        way: 'socket',
        isHolderAlive: () => Promise.resolve(null),
        ...options,
      }),
    )
  }

  async pass<T>(promise: Promise<T>): Promise<T> {
    let isOver = false
    void promise.catch(() => undefined).finally(() => (isOver = true))
    await this.time.run(() => isOver)
    return promise
  }

  async keys(): Promise<readonly string[]> {
    const keys: string[] = []
    for await (const key of this.store.list(`${job}/control/`)) keys.push(key.slice(`${job}/control/`.length))
    return keys.toSorted()
  }
}

test('a process that lives is found out by its log, hears the request at its next look, and its answer is taken away', async () => {
  const elsewhere = new Elsewhere()
  const mailbox = await elsewhere.live()
  elsewhere.answer = () => Promise.resolve({ kind: 'completed', checkpoint: 3, durationMs: 5 })
  for (const number of [1, 2, 3]) {
    const { answer, generation } = await elsewhere.pass(
      requestCheckpoint({
        job,
        store: elsewhere.store,
        runtime: elsewhere.runtime,
        way: 'socket',
        isHolderAlive: () => Promise.resolve(null),
      }),
    )
    expect([answer, generation]).toEqual([{ kind: 'completed', checkpoint: 3, durationMs: 5 }, 1])
    expect(elsewhere.asked).toHaveLength(number)
  }
  // Numbers stay taken as long as it lives, so that none is overlooked.
  expect(await elsewhere.keys()).toEqual([1, 2, 3].map((number) => `${SOCKET}-request-${number}`))
  elsewhere.die()
  await elsewhere.pass(mailbox[Symbol.asyncDispose]())
  expect(await elsewhere.keys()).toEqual([])
})

test('askers who come at once all have a number, and all are heard', async () => {
  const elsewhere = new Elsewhere()
  await elsewhere.live()
  let answered = 0
  elsewhere.answer = async () => ({ kind: 'completed', checkpoint: (answered += 1), durationMs: null })
  const all = await Promise.all(Array.from({ length: 9 }, () => elsewhere.hear('checkpoint')))
  expect(all.map(({ answer }) => answer.kind)).toEqual(all.map(() => 'completed'))
  expect(elsewhere.asked).toHaveLength(9)
  elsewhere.die()
})

test('the log is the answer when the job has ended, also behind the start of another process', async () => {
  for (const isFollowed of [false, true]) {
    const elsewhere = new Elsewhere()
    await elsewhere.live()
    elsewhere.answer = async () => {
      elsewhere.die()
      await elsewhere.append({
        kind: 'ended',
        end: { state: 'STOPPED' },
        retained: [sampleRetained(4)],
        committedThrough: 4,
      })
      if (isFollowed)
        await elsewhere.append({ kind: 'started', generation: 2, holder: { ...holder, socket: 'another' } })
      return new Promise(() => undefined)
    }
    const { answer } = await elsewhere.hear('stop')
    expect(answer).toEqual({ kind: 'ended', state: 'STOPPED', checkpoint: 4, committedThrough: 4 })
  }
})

test('another process that takes over is an answer', async () => {
  const elsewhere = new Elsewhere()
  await elsewhere.live()
  elsewhere.answer = async () => {
    elsewhere.die()
    await elsewhere.append({ kind: 'started', generation: 2, holder: { ...holder, socket: 'another' } })
    return new Promise(() => undefined)
  }
  expect((await elsewhere.hear('stop')).answer).toMatchObject({ kind: 'succeeded', by: { generation: 2 } })
})

test('a process that falls silent is given up after a while; one that was silent before is not asked at all', async () => {
  const elsewhere = new Elsewhere()
  await elsewhere.live()
  elsewhere.answer = () => {
    elsewhere.die()
    return new Promise(() => undefined)
  }
  const before = elsewhere.time.monotonicMs()
  expect((await elsewhere.hear('stop')).answer).toMatchObject({ kind: 'silent' })
  expect(elsewhere.time.monotonicMs() - before).toBeLessThan(30_000)
  expect(await elsewhere.keys()).toHaveLength(1)
  await expect(elsewhere.hear('stop')).rejects.toMatchObject({ code: 'SLUICE_NOT_RUNNING' })
  expect(await elsewhere.keys()).toHaveLength(1)
})

test('a store that fails now and then is asked again, on both sides', async () => {
  const elsewhere = new Elsewhere()
  await elsewhere.live()
  elsewhere.answer = () => Promise.resolve({ kind: 'completed', checkpoint: 3, durationMs: 5 })
  const { store } = elsewhere
  const get = store.get.bind(store)
  let failed = 0
  const random = seeded(7)
  await elsewhere.hear('checkpoint')
  // Where the log ends, and which number is free, is found in one go; what is asked for again and again may fail.
  store.get = async (key) => {
    const bytes = await get(key)
    if (key.includes('answer') || (key.endsWith('request-2') && bytes !== undefined)) failed += 1
    else return bytes
    if (random() < 0.6) throw new RetryableError('not now')
    return bytes
  }
  const create = store.create.bind(store)
  let lost = 0
  // It is written, and its reply is lost.
  store.create = async (key, bytes) => {
    const answer = await create(key, bytes)
    if (!key.includes('request') || (lost += 1) > 2) return answer
    throw new RetryableError('no reply')
  }
  elsewhere.answer = async () => {
    await elsewhere.runtime.timers.sleep(5_000)
    return { kind: 'completed', checkpoint: 4, durationMs: 5 }
  }
  expect((await elsewhere.hear('checkpoint')).answer).toMatchObject({ kind: 'completed', checkpoint: 4 })
  expect([failed > 5, lost > 2, elsewhere.asked.length]).toEqual([true, true, 2])
  elsewhere.die()
})

test('an old mailbox is swept by a newer generation, and that of a newer one never', async () => {
  const elsewhere = new Elsewhere()
  const { store } = elsewhere
  const other = (name: string): string => `${job}/control/sluice-${name.repeat(32)}`
  const body = (generation: number): Uint8Array =>
    Buffer.from(JSON.stringify({ sluice: 1, job, verb: 'stop', generation }))
  await store.put(`${other('1')}-request-1`, body(4))
  await store.put(`${other('1')}-answer-1`, body(4))
  await store.put(`${other('2')}-request-1`, body(5))
  await store.put(`${other('3')}-request-1`, body(6))
  await store.put(`${job}/control/something`, body(1))
  const mailbox = new MailboxReader({ job, store, runtime: elsewhere.runtime, holder, ask: elsewhere.answer })
  mailbox.sweep(5)
  await elsewhere.pass(elsewhere.runtime.timers.sleep(POLL_MS))
  await elsewhere.pass(mailbox[Symbol.asyncDispose]())
  const left = [`sluice-${'2'.repeat(32)}-request-1`, `sluice-${'3'.repeat(32)}-request-1`, 'something']
  expect(await elsewhere.keys()).toEqual(left)
})

test('a run that only delivers, and ends the job for good, sweeps what the process before it has left, too', async () => {
  const store = memoryStore()
  const left = `${job}/control/sluice-${'1'.repeat(32)}-request-1`
  await store.put(left, Buffer.from(encodeMessage({ job, verb: 'drain', generation: 1 })))
  const control = new Control()
  await control.open({ job, store, runtime, holder, way: 'store', onAsked: () => undefined })
  // No task starts, so it never says that it is running.
  control.onLog({ newest: sampleEntry({ holder, generation: 2, kind: 'ended', end: { state: 'FINISHED' } }) })
  await control.through(Promise.resolve())
  await control[Symbol.asyncDispose]()
  expect(await store.get(left)).toBeUndefined()
})

test('an idle mailbox costs one read per look, and no listing', async () => {
  const elsewhere = new Elsewhere()
  const { store } = elsewhere
  const reads: string[] = []
  const get = store.get.bind(store)
  store.get = (key) => {
    reads.push(key)
    return get(key)
  }
  store.list = () => {
    throw new Error('nothing is listed')
  }
  const mailbox = new MailboxReader({ job, store, runtime: elsewhere.runtime, holder, ask: elsewhere.answer })
  await elsewhere.pass(elsewhere.runtime.timers.sleep(100 * POLL_MS))
  expect(reads.length).toBeGreaterThanOrEqual(99)
  expect(reads.length).toBeLessThanOrEqual(102)
  await elsewhere.pass(mailbox[Symbol.asyncDispose]())
})
