/** The life of a file sink on a disk in memory, for tests that end or pause it at any operation. Also what stands for the checkpoint log. */
import { json } from '../../../engine/api/index.ts'
import type { FileOperations } from '../../../clients/file/operations.ts'
import { fileSink, type FilePart, type FileSinkOptions, type OpenPart } from '../../../sinks/file/sink.ts'
import type { VolatileDisk } from '../../clients/file/volatile-disk.ts'
import {
  History,
  SinkGeneration,
  type SinkEnvironment,
  type StoredCommit,
  type StoredState,
} from '../../conformance/sink-generation.ts'
import { numbersOf, type Numbered } from './file-environment.ts'

export const DIRECTORY = '/srv/out'
export const EPOCHS = 3
const RECORDS_PER_EPOCH = 3
/** Whose writer state and commits a sweep is told to keep. */
const RETAINED = 3
export const ALL_NUMBERS = Array.from({ length: EPOCHS * RECORDS_PER_EPOCH }, (_, index) => index)

/** What the checkpoint log says: facts that outlive every process. */
export class CheckpointFacts {
  /** Completed, evidence of them not yet forgotten. */
  due: readonly StoredCommit[] = []
  epochs = 0
  newestGeneration = 0
  readonly history = new History()
  readonly way: LifeWay
  /** Of the retained checkpoints, oldest first. */
  #states: readonly (readonly StoredState[])[] = []

  constructor(way: LifeWay = {}) {
    this.way = way
  }

  completed(states: readonly StoredState[]): void {
    this.epochs += 1
    this.#states = [...this.#states, states].slice(-RETAINED)
  }

  /** What the newest checkpoint holds for writers. */
  get states(): readonly StoredState[] {
    const states = this.#states.at(-1) ?? []
    return this.way.mistake?.restored?.(states) ?? states
  }

  get keptStates(): readonly StoredState[] {
    return this.way.mistake?.keepsNoStates === true ? [] : this.#states.flat()
  }
}

export interface LifeWay {
  /** Two lines to a part by default, closed at each checkpoint. */
  readonly sink?: Pick<FileSinkOptions<Numbered>, 'rolling' | 'maxPartBytes'>
  /** A seeded one. */
  readonly mistake?: {
    readonly restored?: (states: readonly StoredState[]) => readonly StoredState[]
    readonly keepsNoStates?: boolean
  }
}

/** A part holds about five lines, whatever the epochs of three. */
export const STAYING_OPEN: LifeWay = { sink: { rolling: 'when-full', maxPartBytes: 160 } }

/** The next generation: fences all others, commits what is due, aborts what is left. */
export async function start(facts: CheckpointFacts, fs: FileOperations, between: Between = {}): Promise<Generation> {
  facts.newestGeneration += 1
  const number = facts.newestGeneration
  const generation = new SinkGeneration<Numbered, FilePart, OpenPart>(environmentOn(fs, facts.way), {
    generation: number,
    history: facts.history,
  })
  refuseLoss(await generation.commitUntilClear(facts.due))
  await between.committed?.()
  await generation.abortStale(facts.due, facts.keptStates)
  await between.aborted?.()
  await generation.open(facts.states)
  return { number, sink: generation }
}

export interface Generation {
  readonly number: number
  readonly sink: SinkGeneration<Numbered, FilePart, OpenPart>
}

interface Between {
  readonly committed?: () => Promise<void>
  readonly aborted?: () => Promise<void>
}

/** From the first epoch that is not completed to the end, or until it finds itself fenced. */
export async function live({ number, sink }: Generation, facts: CheckpointFacts): Promise<void> {
  while (facts.epochs < EPOCHS) {
    const at = facts.epochs * RECORDS_PER_EPOCH
    for (const record of ALL_NUMBERS.slice(at, at + RECORDS_PER_EPOCH)) await sink.write([record])
    const prepared = await sink.prepare({ endOfInput: facts.epochs === EPOCHS - 1 })
    const { states } = sink
    // The conditional create of the log.
    if (facts.newestGeneration !== number) return
    const before = facts.due
    facts.due = [...before, ...prepared]
    facts.completed(states)
    const kinds = await sink.commitUntilClear(facts.due)
    if (facts.newestGeneration !== number) return
    refuseLoss(kinds)
    facts.due = prepared
    await sink.forget(before)
  }
}

/** The job would be FAILED now; only a fenced process may be told so, as its successor has settled everything. */
function refuseLoss(kinds: readonly string[]): void {
  if (kinds.includes('lost')) throw new Error(`lost: ${kinds.join()}`)
}

/** What every start does once more, and the end of a job. */
export async function finish({ sink }: Generation, facts: CheckpointFacts): Promise<void> {
  const settled = facts.due
  facts.due = []
  await sink.forget(settled)
  await sink.abortStale([], facts.keptStates)
}

export async function visibleNumbers(disk: VolatileDisk): Promise<number[]> {
  const numbers: number[] = []
  for (const name of namesOn(disk).filter((one) => !one.startsWith('.'))) {
    numbers.push(...numbersOf(Buffer.from(await disk.operations.readFile(`${DIRECTORY}/${name}`)).toString()))
  }
  return numbers.toSorted((a, b) => a - b)
}

export function hiddenNames(disk: VolatileDisk): readonly string[] {
  return namesOn(disk).filter((name) => name.startsWith('.'))
}

function namesOn(disk: VolatileDisk): readonly string[] {
  const isMade = disk.fileNames('/').includes('srv') && disk.fileNames('/srv').includes('out')
  return isMade ? disk.fileNames(DIRECTORY) : []
}

function environmentOn(fs: FileOperations, { sink }: LifeWay): SinkEnvironment<Numbered, FilePart, OpenPart> {
  return {
    createSink: () => fileSink<Numbered>({ encode: json(), maxPartBytes: 40, ...sink, path: DIRECTORY, fs }),
    record: (number) => ({ number, text: `Zeile ${number} ✓` }),
    readVisible: () => Promise.resolve([]),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
