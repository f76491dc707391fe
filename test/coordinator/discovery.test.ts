/** Splits that appear while a job runs: when they are asked for, who gets them, and what a failing or ending source makes of it. */
import { expect, test } from 'vitest'
import { RetryableError, TerminalError, type Source, type SourceReader } from '../../engine/api/index.ts'
import { shareSplits } from '../../engine/coordinator/splits.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import type { JobGraph } from '../../engine/graph/job-graph.ts'
import { graphOf, runtime, TestAttempt } from '../task/attempt.ts'
import { MemorySink, MemorySource } from '../task/in-memory.ts'
import { JobWorld, type JobRun } from './job-run.ts'

interface Split {
  readonly id: string
}
type Reader = SourceReader<unknown, Split, number>

const EVERY_MS = 50

/** A source of a test's own, before the sink `plain`. Each split is one record, its id. */
class Appearing implements Source<unknown, Split, number> {
  readonly kind = 'appearing'
  readonly guarantee = 'exactly-once'
  readonly discoverEveryMs = EVERY_MS
  readonly ids: string[] = []
  /** What is given and read, by subtask. */
  readonly taken: string[][] = [[], [], []]
  readonly asked: { readonly known: readonly string[]; readonly isFirst: boolean }[] = []
  readonly hasEnded = [false, false, false]
  /** Splits end behind their record. */
  endsSplits = true
  /** A poll that waits for it says that there is no more. */
  saysEnded: Promise<void> | undefined
  polling = 0
  idleMs = 60_000
  onDiscover: () => Promise<void> = () => Promise.resolve()
  underWay = 0
  mostUnderWay = 0

  async validate(): Promise<void> {}

  async discover({ isFirst }: { readonly isFirst: boolean }, known: readonly Split[]) {
    this.asked.push({ known: known.map(({ id }) => id), isFirst })
    this.underWay += 1
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay)
    await this.onDiscover().finally(() => {
      this.underWay -= 1
    })
    return this.ids.map((id) => ({ split: { id }, start: 0 }))
  }

  createReader({ subtask }: { readonly subtask: number }): Promise<Reader> {
    const open = new Map<string, number>()
    const take: Reader['assign'] = async (splits) => {
      for (const { split, position } of splits) {
        open.set(split.id, position)
        this.taken[subtask]?.push(split.id)
      }
    }
    return Promise.resolve({
      assign: take,
      addSplits: take,
      poll: () => {
        if (this.saysEnded !== undefined) {
          this.polling += 1
          return this.saysEnded.then(() => ({ kind: 'ended' }))
        }
        const unread = [...open].find(([, position]) => position === 0)?.[0]
        const read = [...open.keys()].find((id) => id !== unread)
        if (unread !== undefined) {
          open.set(unread, 1)
          return {
            kind: 'records',
            split: { id: unread },
            records: { values: [{ split: unread, index: 0 }] },
            after: 1,
          }
        }
        if (read !== undefined && this.endsSplits) {
          open.delete(read)
          return { kind: 'split-ended', split: { id: read } }
        }
        return this.hasEnded[subtask] === true ? { kind: 'ended' } : { kind: 'idle', retryAfterMs: this.idleMs }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }
}

function jobOf(source: Appearing): (definition: JobDefinition) => JobDefinition {
  return (definition) => ({
    ...definition,
    build: (flow, settings) => definition.build({ source: (id) => flow.source(id, source) as never }, settings),
  })
}

function start(source: Appearing, parallelism = 1): { world: JobWorld; run: JobRun } {
  const world = new JobWorld({})
  return { world, run: world.start({ edit: jobOf(source), run: { parallelism } }) }
}

const visible = (world: JobWorld): readonly string[] =>
  world.outside.plain.visible.map((one) => (one as { readonly split: string }).split)

test('a source that began with nothing is asked again and again, one call at a time, and is never at its first discovery again (F32)', async () => {
  const source = new Appearing()
  source.onDiscover = () => runtime.timers.yieldToEventLoop()
  const { world, run } = start(source)
  await run.completed(1)
  await world.until(() => source.asked.length === 4)
  source.ids.push('a')
  await world.until(() => visible(world).length === 1)
  expect(source.asked[0]).toEqual({ known: [], isFirst: true })
  expect(source.asked.slice(1).filter(({ isFirst }) => isFirst)).toEqual([])
  expect(source.mostUnderWay).toBe(1)
  run.stop()
  await run.ended()
  source.ids.push('b')
  const second = world.start({ edit: jobOf(source) })
  await world.until(() => visible(world).length === 2)
  expect(source.asked.findLast(({ known }) => known.join() === 'a')).toEqual({ known: ['a'], isFirst: false })
  second.stop()
  await second.ended()
  expect(visible(world)).toEqual(['a', 'b'])
})

test('where a checkpoint holds no splits, those that came after it are not found at the latest (F32)', async () => {
  const source = new MemorySource({})
  source.endless = true
  const graph = graphOf((flow) => flow.source('s', source).sink('out', new MemorySink()))
  await using attempt = await TestAttempt.start(graph)
  const restored = await attempt.complete(1, null)
  const firsts: boolean[] = []
  source.discover = async (context?: { readonly isFirst: boolean }) => {
    firsts.push(context?.isFirst === true)
    return []
  }
  const where = { graph, job: 'job', parallelism: 1, runtime, baseDirectory: '.', signal: new AbortController().signal }
  await shareSplits({ ...where, restored: null, dropped: [] })
  await shareSplits({ ...where, restored, dropped: [] })
  await shareSplits({ ...where, restored, dropped: ['s'] })
  expect(firsts).toEqual([true, false, true])
})

test('nothing is asked before a checkpoint of the attempt has completed', async () => {
  const source = new Appearing()
  const { world, run } = start(source)
  run.process.isHeld = (name) =>
    name.startsWith('store.create job/log/') &&
    run.process.effects.filter((one) => one.startsWith('store.create job/log/')).length > 1
  await world.pass(EVERY_MS * 10)
  expect(run.process.held).toBe(1)
  expect(source.asked.length).toBe(1)
  run.process.release()
  await world.until(() => source.asked.length === 3)
})

test('new splits go to the subtask with the fewest open ones, and are read although its reader said idle for a minute', async () => {
  const source = new Appearing()
  source.endsSplits = false
  source.ids.push('a', 'b', 'c', 'd')
  const { world, run } = start(source, 3)
  await run.completed(1)
  source.ids.push('e')
  await world.until(() => source.taken.flat().includes('e'))
  source.ids.unshift('f', 'g', 'h')
  await world.until(() => visible(world).length === 8)
  expect(source.taken).toEqual([
    ['a', 'd', 'g'],
    ['b', 'e', 'h'],
    ['c', 'f'],
  ])
})

test('a split that has ended does not count', async () => {
  const source = new Appearing()
  source.ids.push('a', 'b', 'c', 'd')
  const { world, run } = start(source, 3)
  await run.completed(3)
  source.ids.push('e', 'f')
  await world.until(() => visible(world).length === 6)
  expect(source.taken).toEqual([['a', 'd', 'e'], ['b', 'f'], ['c']])
})

test('a discovery that may work later is tried again; any other failure ends the attempt', async () => {
  const source = new Appearing()
  const { world, run } = start(source)
  await run.completed(1)
  source.onDiscover = () => Promise.reject(new RetryableError('no answer'))
  const { length } = source.asked
  await world.until(() => source.asked.length >= length + 3)
  expect(
    run.process.log.filter((line) => /source "source" could not look for new splits, .*no answer/.test(line)).length,
  ).toBeGreaterThanOrEqual(2)
  expect(run.count('restarting')).toBe(0)
  source.onDiscover = () => Promise.reject(new Error('broken'))
  await world.until(() => run.count('restarting') === 1)
  source.onDiscover = () => Promise.resolve()
  source.ids.push('a')
  await world.until(() => visible(world).length === 1)
  source.ids.push('a')
  expect(await run.ended()).toMatchObject({ state: 'FAILED', reason: /source "source" .*discovered split "a" twice/ })
})

test('exhausted subtasks get no split, and a source that has ended is not asked again (F24)', async () => {
  const source = new Appearing()
  const { world, run } = start(source, 3)
  source.hasEnded.fill(true, 0, 2)
  await run.completed(2)
  source.ids.push('a', 'b')
  await world.until(() => visible(world).length === 2)
  expect(source.taken).toEqual([[], [], ['a', 'b']])
  source.hasEnded[2] = true
  source.ids.push('c')
  expect((await run.ended()).state).toBe('FINISHED')
  const { length } = source.asked
  expect(await world.start({ edit: jobOf(source) }).ended()).toEqual({ state: 'ALREADY_FINISHED' })
  expect(source.asked.length).toBe(length)
})

test('a reader that says it has ended, and is given a split all the same, ends the attempt; the next one begins with that split', async () => {
  const source = new Appearing()
  source.idleMs = 5
  const { world, run } = start(source)
  await run.completed(1)
  const told = Promise.withResolvers<void>()
  source.saysEnded = told.promise
  await world.until(() => source.polling === 1)
  source.ids.push('a')
  const { length } = source.asked
  await world.until(() => source.asked.length > length + 1)
  expect(source.taken.flat()).toEqual([])
  source.saysEnded = undefined
  told.resolve()
  await world.until(() => visible(world).length === 1)
  expect(run.events.find(({ kind }) => kind === 'restarting')).toMatchObject({
    failure: { message: expect.stringMatching(/no split can come any more, and then there were a/) },
  })
  expect(source.taken[0]).toEqual(['a'])
})

test('a call that never answers does not hold up the end of the job', async () => {
  const source = new Appearing()
  const { world, run } = start(source)
  await run.completed(1)
  source.onDiscover = () => new Promise(() => undefined)
  await world.until(() => source.underWay === 1)
  run.stop()
  expect((await run.ended()).state).toBe('STOPPED')
})

test('a source without discoverEveryMs is asked once; with it, its readers take splits, and it is a number of milliseconds', async () => {
  const withTimer = (discoverEveryMs: unknown): JobGraph => {
    const source = Object.assign(new MemorySource({ a: [1] }), { discoverEveryMs: discoverEveryMs as number })
    return graphOf((flow) => flow.source('s', source).sink('out', new MemorySink()))
  }
  for (const wrong of [0, -1, Number.NaN, '5', 2 ** 31]) expect(() => withTimer(wrong)).toThrow(TerminalError)
  await expect(TestAttempt.start(withTimer(1_000))).rejects.toThrow(
    /"s" has discoverEveryMs, but its reader has no addSplits/,
  )
})
