/** Whole runs of the engine: followed files into parts that stay open across checkpoints, stops, restarts and the end of the input. */
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryStore } from '../../../checkpoint-store/memory.ts'
import { json } from '../../../engine/api/index.ts'
import { runJob, type RunEnd } from '../../../engine/coordinator/run-job.ts'
import { defineJob } from '../../../engine/graph/define-job.ts'
import { nodeRuntime } from '../../../engine/host/node-runtime.ts'
import { fileSink, type FileSinkOptions } from '../../../sinks/file/sink.ts'
import { fileSource } from '../../../sources/file/source.ts'
import { silent } from '../../conformance/sink-generation.ts'
import { numbersIn, type Numbered } from './file-environment.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-whole-runs-'))
  mkdirSync(join(directory, 'in'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const store = memoryStore()
let written = 0
const append = (count: number): void => {
  const lines = Array.from({ length: count }, (_, index) => JSON.stringify({ number: written + index }) + '\n')
  written += count
  appendFileSync(join(directory, 'in', 'f.ndjson'), lines.join(''))
}

interface Run {
  readonly ended: Promise<RunEnd>
  /** Once so many records went through, and a checkpoint behind them has completed. */
  checkpointed(records: number): Promise<void>
  stop(): void
}

let seen = 0
let failAt = -1

function start(id: string, follow: boolean, sink: Partial<FileSinkOptions<Numbered>>): Run {
  const stop = new AbortController()
  let completed = 0
  const ended = runJob({
    definition: defineJob({
      id,
      checkpoint: { intervalMs: 20 },
      restart: { kind: 'fixed-delay', attempts: 3, delayMs: 1 },
      build: (flow) => {
        flow
          .source('in', fileSource({ path: 'in', decode: json<{ number: number }>(), follow }))
          .map('named', ({ number }) => {
            if (number === failAt) {
              failAt = -1
              throw new Error('once')
            }
            seen = Math.max(seen, number + 1)
            return { number, text: `Zeile ${number} ✓` }
          })
          .sink('out', fileSink<Numbered>({ path: 'out', encode: json(), ...sink }))
      },
    }),
    settings: {},
    store,
    runtime: nodeRuntime(silent),
    baseDirectory: directory,
    codeIdentity: 'code',
    holder: { bootId: 'boot', netNamespace: 'net', pid: 1, host: 'here', socket: `socket ${performance.now()}` },
    isHolderAlive: () => Promise.resolve(false),
    stopSignal: stop.signal,
    onEvent: (event) => {
      if (event.kind === 'completed') completed += 1
    },
  })
  return {
    ended,
    checkpointed: async (records) => {
      await until(() => seen >= records)
      const before = completed
      // The one under way may have been cut before.
      await until(() => completed >= before + 2)
    },
    stop: () => stop.abort(new Error('stopped by the test')),
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`not within 20 s: ${isTrue.toString()}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
}

test.each([
  ['plain', {}],
  ['gzip', { compression: 'gzip' as const }],
  ['zstd', { compression: 'zstd' as const }],
])(
  'what was appended is in the output once, however the runs between ended, and nothing hidden is left (%s)',
  async (id, options) => {
    written = 0
    seen = 0
    const out = join(directory, 'out')
    const sink = { rolling: 'when-full' as const, ...options }
    writeFileSync(join(directory, 'in', 'f.ndjson'), '')
    append(100)
    const first = start(id, true, sink)
    await first.checkpointed(100)
    append(50)
    await first.checkpointed(150)
    expect(await numbersIn(out)).toEqual([])
    first.stop()
    expect(await first.ended).toMatchObject({ state: 'STOPPED' })
    // Stopped, with all of it in a part that no consumer sees.
    expect(await numbersIn(out)).toEqual([])
    expect(readdirSync(out)).toHaveLength(1)

    const second = start(id, true, sink)
    await until(() => readdirSync(out).some((name) => !name.startsWith('.')))
    expect(await numbersIn(out)).toEqual(Array.from({ length: 150 }, (_, index) => index))
    failAt = 170
    append(60)
    await second.checkpointed(210)
    second.stop()
    expect(await second.ended).toMatchObject({ state: 'STOPPED' })

    append(5)
    expect(await start(id, false, {}).ended).toMatchObject({ state: 'FINISHED' })
    const numbers = await numbersIn(out)
    expect(numbers).toEqual(Array.from({ length: 215 }, (_, index) => index))
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([])
  },
)
