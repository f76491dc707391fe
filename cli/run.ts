/**
 * `sluice run`: a job in this process, with progress on stderr, clean stop by signal, and exit codes that say how it ended.
 */
import { openStore } from '../checkpoint-store/open-store.ts'
import { messageOf, TerminalError } from '../engine/api/index.ts'
import { runJob, type RunEnd, type RunEvent } from '../engine/coordinator/run-job.ts'
import { exitCodeOf } from '../engine/host/exit-code.ts'
import { createHolder, isHolderAlive } from '../engine/host/holder.ts'
import { jsonLogger } from '../engine/host/json-logger.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { textLogger } from '../engine/host/text-logger.ts'
import { codeIdentity } from './code-identity.ts'
import { loadJob } from './load-job.ts'

export interface RunFlags {
  readonly store: string
  readonly set: readonly string[]
  readonly restore: string
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: string
  readonly drop: readonly string[]
  readonly takeOver?: boolean
  readonly json?: boolean
}

const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const

export async function run(jobFile: string, flags: RunFlags): Promise<number> {
  const runtime = nodeRuntime(flags.json === true ? jsonLogger() : textLogger())
  const stop = new AbortController()
  let signalCode: number | undefined
  const onSignal = (signal: keyof typeof SIGNAL_CODES): void => {
    const code = SIGNAL_CODES[signal]
    if (signalCode !== undefined) process.exit(code)
    signalCode = code
    runtime.logger.info(`${signal}: stopping with a last checkpoint; once more to exit at once`)
    stop.abort(new Error(`stopped by ${signal}`))
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    const { definition, file } = await loadJob(jobFile)
    await using store = await openStore(flags.store)
    await using holder = await createHolder()
    const end = await runJob({
      definition,
      settings: parseSettings(flags.set),
      store,
      runtime,
      baseDirectory: process.cwd(),
      codeIdentity: await codeIdentity(file),
      holder: holder.identity,
      isHolderAlive: (other) => isHolderAlive(other, holder.identity),
      restore: parseRestore(flags.restore),
      acceptDuplicates: flags.acceptDuplicates ?? false,
      acceptLoss: flags.acceptLoss === undefined ? null : parseCheckpoint(flags.acceptLoss, '--accept-loss'),
      drop: flags.drop,
      takeOver: flags.takeOver ?? false,
      stopSignal: stop.signal,
      onEvent: (event) => report(event, flags.json === true),
    })
    return codeOf(end, signalCode, flags.json === true)
  } catch (error) {
    print({ event: 'refused', error: messageOf(error) }, flags.json === true, `sluice: ${messageOf(error)}`)
    return exitCodeOf(error)
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

function codeOf(end: RunEnd, signalCode: number | undefined, asJson: boolean): number {
  switch (end.state) {
    case 'FINISHED':
    case 'ALREADY_FINISHED':
      print(
        { event: 'ended', state: end.state },
        asJson,
        end.state === 'FINISHED' ? 'finished' : 'the job has finished before; nothing to do',
      )
      return 0
    case 'STOPPED':
      print({ event: 'ended', state: end.state }, asJson, 'stopped; run again to go on')
      return signalCode ?? 0
    default:
      print({ event: 'ended', state: end.state, reason: end.reason }, asJson, `FAILED: ${end.reason}`)
      return 1
  }
}

function report(event: RunEvent, asJson: boolean): void {
  switch (event.kind) {
    case 'running':
      return print(
        { event: 'running', generation: event.generation, restored: event.restored },
        asJson,
        `running, generation ${event.generation}${event.restored === null ? '' : `, from checkpoint ${event.restored}`}`,
      )
    case 'completed':
      return asJson ? print({ event: 'completed', checkpoint: event.checkpoint }, true, '') : undefined
    case 'restarting': {
      const failure = messageOf(event.failure)
      const text = `attempt failed: ${failure}; restart ${event.restarts} in ${Math.round(event.delayMs)} ms`
      return print({ event: 'restarting', restarts: event.restarts, delayMs: event.delayMs, failure }, asJson, text)
    }
    default: {
      const names = Object.keys(event.reused).join(', ')
      return print(
        { event: 'settings', reused: event.reused },
        asJson,
        `settings of the last run are used again: ${names}`,
      )
    }
  }
}

function print(fields: Readonly<Record<string, unknown>>, asJson: boolean, text: string): void {
  if (asJson) process.stdout.write(`${JSON.stringify(fields)}\n`)
  else process.stderr.write(`${text}\n`)
}

/** @throws TerminalError */
export function parseSettings(given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new TerminalError(`--set ${text}: write it as --set name=value`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

function parseRestore(text: string): 'latest' | 'none' | number {
  return text === 'latest' || text === 'none' ? text : parseCheckpoint(text, '--restore')
}

function parseCheckpoint(text: string, flag: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new TerminalError(
    `${flag} ${text}: give the number of a checkpoint${flag === '--restore' ? ', latest or none' : ''}`,
  )
}
