/**
 * What `sluice stop`, `cancel` and `checkpoints trigger` have in common: find the job, ask, wait with a line of progress on a terminal, tell
 * the answer.
 */
import { openStore } from '../../checkpoint-store/open-store.ts'
import { TerminalError, type CheckpointStore, type JobId } from '../../engine/api/index.ts'
import { jobStateOf } from '../../engine/checkpoint/job-state.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { createHolder, isHolderAlive } from '../../engine/host/holder.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { jobIdOf } from '../job-id.ts'
import { say } from './answer-report.ts'
import { askJob } from './client.ts'
import { controlWay, type ControlWay } from './control-way.ts'
import type { Verb } from './protocol.ts'

export interface AskFlags {
  readonly store: string
  readonly timeout?: string
  readonly json?: boolean
}

const MOST_TIMEOUT_S = 1_000_000

/** Of a checkpoint that was taken. */
export interface Taken {
  readonly store: CheckpointStore
  readonly job: JobId
  readonly checkpoint: number
}

/** What is done with a checkpoint before the answer is told: more to tell, for people and for programs. */
export type WithTaken = (taken: Taken) => Promise<{ readonly text: string; readonly facts: object }>

/** The exit code. @throws TerminalError when nobody was asked; what `withTaken` throws */
export async function askCommand(job: string, verb: Verb, flags: AskFlags, withTaken?: WithTaken): Promise<number> {
  const timeoutMs = flags.timeout === undefined ? undefined : parseTimeout(flags.timeout)
  const id = await jobIdOf(job)
  const way = controlWay()
  // A look makes no store; a request is written into one that is there.
  await using store = await openStore(flags.store, { access: 'read' })
  await using holder = await createHolder()
  using progress = new Progress(id, verb)
  const answered = await askJob({
    job: id,
    store,
    runtime: nodeRuntime(),
    verb,
    way,
    isHolderAlive: (other) => isHolderAlive(other, holder.identity),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onAsked: (over, newest) => progress.asked(over, newest),
    onEntry: (entry) => progress.entry(entry),
  })
  progress[Symbol.dispose]()
  const { exitCode, outcome, text, facts, code } = say(verb, answered)
  const { generation, answer } = answered
  const more =
    withTaken === undefined || answer.kind !== 'completed'
      ? undefined
      : await withTaken({ store, job: id, checkpoint: answer.checkpoint })
  if (flags.json === true) {
    const fields = {
      event: verb,
      job: id,
      outcome,
      ...facts,
      ...more?.facts,
      generation,
      via: progress.way,
      exitCode,
      ...(code === undefined ? {} : { code }),
    }
    process.stdout.write(`${JSON.stringify(fields)}\n`)
  } else if (exitCode === 0) process.stdout.write(`${id}: ${text}\n${more?.text ?? ''}`)
  else process.stderr.write(`sluice: ${id}: ${text}${code === undefined ? '' : ` [${code}]`}\n`)
  return exitCode
}

/** @throws TerminalError */
function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= MOST_TIMEOUT_S) return seconds * 1_000
  throw new TerminalError(`--timeout ${text}: give a number of seconds, like 60`, { code: 'SLUICE_USAGE' })
}

const SHOW_MS = 1_000
const ERASE_LINE = '\r\u001b[K'

/** On a terminal one line that is rewritten; elsewhere nothing. */
class Progress implements Disposable {
  /** null: nobody was asked. */
  way: ControlWay | null = null
  readonly #job: string
  readonly #verb: Verb
  readonly #begunAtMs = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #newest: LogEntry | undefined
  #isShown = false

  constructor(job: string, verb: Verb) {
    this.#job = job
    this.#verb = verb
    if (process.stderr.isTTY) this.#timer = setInterval(() => this.#show(), SHOW_MS)
  }

  asked(way: ControlWay, newest: LogEntry): void {
    this.way = way
    this.#newest ??= newest
  }

  entry(entry: LogEntry): void {
    this.#newest = entry
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    if (this.#isShown) process.stderr.write(ERASE_LINE)
    this.#isShown = false
  }

  #show(): void {
    const seconds = Math.round((performance.now() - this.#begunAtMs) / 1_000)
    const done = this.way === null ? 'looking for its process' : `${this.#verb} is asked for`
    const state = this.#newest === undefined ? '' : `, ${stateText(this.#newest)}`
    process.stderr.write(`${ERASE_LINE}${this.#job}: ${done}${state} (${seconds} s)`.slice(0, 200))
    this.#isShown = true
  }
}

function stateText(newest: LogEntry): string {
  const last = newest.retained.at(-1)?.checkpoint ?? 'none'
  return `${jobStateOf(newest)}, last checkpoint ${last}, committed through ${newest.committedThrough}`
}
