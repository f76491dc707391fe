/**
 * F14, F33 and every crash point of a file sink: a process is killed, or paused and woken later, before every single operation of its life,
 * while a consumer takes every visible file at once and the next generation recovers.
 */
import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { FileOperations } from '../../../clients/file/operations.ts'
import { untilStill } from '../../clients/file/power-cuts.ts'
import { volatileDisk, type VolatileDisk } from '../../clients/file/volatile-disk.ts'
import { numbersOf } from './file-environment.ts'
import { openPartCodec } from '../../../sinks/file/open-part.ts'
import type { StoredState } from '../../conformance/sink-generation.ts'
import {
  ALL_NUMBERS,
  CheckpointFacts,
  DIRECTORY,
  finish,
  hiddenNames,
  live,
  STAYING_OPEN,
  start,
  visibleNumbers,
  type LifeWay,
} from './life.ts'

/** When the paused process goes on, seen from its successor. */
type Wake = 'never' | 'after it committed' | 'after it aborted' | 'at its end'

interface Verdict {
  readonly pauses: number
  readonly facts: number
  readonly violations: readonly string[]
}

/** A seeded mistake in the operations of all processes. */
type Mistake = (fs: FileOperations) => FileOperations

interface Seeded {
  readonly mistake?: Mistake
  readonly way?: LifeWay
}

async function pauseEverywhere(wake: Wake, seeded: Seeded = {}): Promise<Verdict> {
  const violations: string[] = []
  let facts = 0
  for (let pauses = 0; ; pauses += 1) {
    const { wasPaused, problem } = await pausedOnce(pauses, wake, seeded)
    facts += ALL_NUMBERS.length
    if (problem !== undefined) violations.push(`paused before operation ${pauses}, woken ${wake}: ${problem}`)
    if (!wasPaused) return { pauses, facts, violations }
  }
}

async function pausedOnce(
  pauseAt: number,
  wake: Wake,
  { mistake = (fs) => fs, way = {} }: Seeded,
): Promise<{ readonly wasPaused: boolean; readonly problem: string | undefined }> {
  const disk = volatileDisk()
  const log = new CheckpointFacts(way)
  const taken: number[] = []
  const fs = takingAtOnce(disk.operations, disk, taken)
  const gate = new Gate(pauseAt)
  const old = start(log, mistake(gate.around(fs))).then((first) => live(first, log))
  await untilStill(old, disk)
  const wasPaused = gate.isClosed
  const wakeUp = async (now: Wake): Promise<void> => {
    if (wake !== now) return
    gate.open()
    await untilStill(old, disk)
  }
  let problem: string | undefined
  try {
    const next = await start(log, mistake(fs), {
      committed: () => wakeUp('after it committed'),
      aborted: () => wakeUp('after it aborted'),
    })
    await live(next, log)
    await finish(next, log)
    await wakeUp('at its end')
    await finish(await start(log, mistake(fs)), log)
    const seen = [...taken, ...(await visibleNumbers(disk))].toSorted((a, b) => a - b)
    if (seen.join() !== ALL_NUMBERS.join()) problem = `a consumer got ${seen.join()}`
    else if (hiddenNames(disk).length > 0) problem = `left: ${hiddenNames(disk).join()}`
  } catch (error) {
    problem = String(error)
  }
  return { wasPaused, problem }
}

/** Lets operations through up to one, which waits until it is opened. */
class Gate {
  readonly #closesAt: number
  #passed = 0
  readonly #opened = Promise.withResolvers<void>()
  isClosed = false

  constructor(closesAt: number) {
    this.#closesAt = closesAt
  }

  open(): void {
    this.#opened.resolve()
  }

  around(fs: FileOperations): FileOperations {
    const guarded = Object.entries(fs).map(([name, operation]) => [
      name,
      async (...given: readonly unknown[]): Promise<unknown> => {
        this.#passed += 1
        if (this.#passed > this.#closesAt) {
          this.isClosed = true
          await this.#opened.promise
        }
        return (operation as (...values: readonly unknown[]) => unknown)(...given)
      },
    ])
    return Object.fromEntries(guarded) as FileOperations
  }
}

/** A consumer that leaves no file visible for longer than one operation. */
function takingAtOnce(fs: FileOperations, disk: VolatileDisk, taken: number[]): FileOperations {
  const take = async (path: string): Promise<void> => {
    if (basename(path).startsWith('.')) return
    const bytes = await disk.operations.readFile(path)
    await disk.operations.unlink(path)
    taken.push(...numbersOf(Buffer.from(bytes).toString()))
  }
  return {
    ...fs,
    rename: (from, to) => fs.rename(from, to).then(() => take(to)),
    link: (from, to) => fs.link(from, to).then(() => take(to)),
  }
}

const WAKES: readonly Wake[] = ['never', 'after it committed', 'after it aborted', 'at its end']

describe('a process that is stopped before any operation', () => {
  for (const wake of WAKES) {
    test(`and goes on ${wake === 'never' ? 'never' : `when its successor is there: ${wake}`}`, async () => {
      const verdict = await pauseEverywhere(wake)
      expect(verdict.violations).toEqual([])
      expect(verdict.pauses).toBeGreaterThan(100)
      expect(verdict.facts).toBe((verdict.pauses + 1) * ALL_NUMBERS.length)
    })
  }
})

describe('a process that is stopped before any operation, with a part that stays open across checkpoints', () => {
  for (const wake of WAKES) {
    test(`and goes on ${wake === 'never' ? 'never' : `when its successor is there: ${wake}`}`, async () => {
      const verdict = await pauseEverywhere(wake, { way: STAYING_OPEN })
      expect(verdict.violations).toEqual([])
      expect(verdict.pauses).toBeGreaterThan(80)
      expect(verdict.facts).toBe((verdict.pauses + 1) * ALL_NUMBERS.length)
    })
  }
})

describe('the harness finds a file sink whose part stays open, and that', () => {
  const mistakes: Readonly<Record<string, NonNullable<LifeWay['mistake']>>> = {
    'sweeps what writer state names': { keepsNoStates: true },
    'forgets writer state': { restored: () => [] },
    'restores a part twice': { restored: (states) => [...states, ...states] },
    'takes more of it for valid than the checkpoint says': {
      restored: (states) => states.map((state) => withContent(state, (bytes) => bytes + 34)),
    },
    'takes less of it for valid than the checkpoint says': {
      restored: (states) => states.map((state) => withContent(state, (bytes) => bytes - 34)),
    },
  }
  for (const [what, mistake] of Object.entries(mistakes)) {
    test(`${what}`, async () => {
      const verdict = await pauseEverywhere('after it aborted', { way: { ...STAYING_OPEN, mistake } })
      expect(verdict.violations.length).toBeGreaterThan(0)
    })
  }
})

function withContent(state: StoredState, change: (bytes: number) => number): StoredState {
  const open = openPartCodec.decode(state.bytes, state.version)
  return { ...state, bytes: openPartCodec.encode({ ...open, contentBytes: change(open.contentBytes) }) }
}

describe('the harness finds a file sink that', () => {
  const mistakes: Readonly<Record<string, Mistake>> = {
    'makes no second link': (fs) => ({
      ...fs,
      link: (from, to) => (to.endsWith('.keep') ? Promise.resolve() : fs.link(from, to)),
    }),
    'commits by a link and an unlink': (fs) => ({
      ...fs,
      rename: async (from, to) => {
        await fs.link(from, to)
        await fs.unlink(from)
      },
    }),
    'commits again from its second link': (fs) => ({
      ...fs,
      rename: async (from, to) => {
        try {
          await fs.rename(from, to)
        } catch {
          await fs.link(from.replace(/\.part$/, '.keep'), to)
        }
      },
      stat: (path) => fs.stat(path).catch(() => fs.stat(path.replace(/\.part$/, '.keep'))),
    }),
    'removes nothing': (fs) => ({ ...fs, unlink: () => Promise.resolve() }),
    'sweeps nothing': (fs) => ({
      ...fs,
      readDirectory: (path) => (path === DIRECTORY ? Promise.resolve([]) : fs.readDirectory(path)),
    }),
  }
  for (const [what, mistake] of Object.entries(mistakes)) {
    test(`${what}`, async () => {
      expect((await pauseEverywhere('after it committed', { mistake })).violations.length).toBeGreaterThan(0)
    })
  }
})
