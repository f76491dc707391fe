/** What is left to do when nothing is read any more, and commits that do not answer. */
import { expect, test } from 'vitest'
import { TerminalError } from '../../engine/api/index.ts'
import type { JobDefinition } from '../../engine/graph/define-job.ts'
import { JobWorld } from './job-run.ts'

const SHORT = { a: 17, b: 11 }

/** Its source cannot even be looked at: the file is gone. */
function withoutInput(definition: JobDefinition): JobDefinition {
  const gone = (): never => {
    throw new TerminalError('the input is gone')
  }
  return {
    ...definition,
    build(flow, settings) {
      definition.build(
        {
          ...flow,
          source: (id, source) => flow.source(id, { ...source, validate: gone, discover: gone, createReader: gone }),
        },
        settings,
      )
    },
  }
}

/** Killed when the entry of the final checkpoint was durable and nothing of it committed. */
async function killedAtTheEnd(): Promise<JobWorld> {
  const world = new JobWorld(SHORT)
  const run = world.start()
  await run.running()
  const { truth } = world.outside
  await world.until(() => truth.newest?.kind === 'completed' && truth.newest.retained.at(-1)?.final === true)
  run.process.kill()
  expect(truth.committedThrough).toBeLessThan(truth.newest?.retained.at(-1)?.checkpoint ?? 0)
  return world
}

test('a source that is gone does not hold up commits that are due after the end of the input', async () => {
  const world = await killedAtTheEnd()
  const run = world.start({ edit: withoutInput })
  expect((await run.ended()).state).toBe('FINISHED')
  expect(run.count('running')).toBe(0)
  expect(world.violations(true)).toEqual([])
  expect(world.outside.truth.newest).toMatchObject({ kind: 'ended', end: { state: 'FINISHED' }, unclean: [] })
  const again = world.start({ edit: withoutInput })
  expect((await again.ended()).state).toBe('ALREADY_FINISHED')
})

test('a cancel while only delivery is left ends CANCELED, and the next run finishes what it left', async () => {
  const world = await killedAtTheEnd()
  const run = world.start()
  run.process.isHeld = (name) => name.startsWith('store.list')
  await world.until(() => run.process.held > 0)
  run.cancel()
  run.process.release()
  expect((await run.ended()).state).toBe('CANCELED')
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
  expect([...world.outside.plain.transactions, ...world.outside.counts.transactions]).toEqual([])
})

test('blobs of state that no task will read are not missed after the end of the input', async () => {
  const world = await killedAtTheEnd()
  for (const key of world.outside.truth.files.keys()) {
    if (!key.includes('/blob/')) continue
    await world.store.delete(key)
  }
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a source that is gone is refused while there is something to read, before anything is written', async () => {
  const world = new JobWorld(SHORT)
  const run = world.start()
  await run.completed(1)
  run.process.kill()
  const entries = world.outside.truth.newest?.seq
  await expect(world.start({ edit: withoutInput }).ended()).rejects.toThrow('the input is gone')
  expect(world.outside.truth.newest?.seq).toBe(entries)
  expect((await world.start().ended()).state).toBe('FINISHED')
  expect(world.violations(true)).toEqual([])
})

test('a commit that is never answered is asked again; a forget, an abort and a delete that are not hold up nothing', async () => {
  const world = new JobWorld(SHORT)
  const first = world.start()
  await first.completed(2)
  first.process.kill()
  const run = world.start()
  let commits = 0
  run.process.isSilent = (name) => {
    if (name.endsWith('.commit')) commits += 1
    return (name.endsWith('.commit') && commits <= 3) || /\.forget|\.abort$|store\.delete job\/blob/.test(name)
  }
  expect((await run.ended()).state).toBe('FINISHED')
  expect(commits).toBeGreaterThan(3)
  expect(world.violations(true)).toEqual([])
})
