/**
 * `sluice run`: a job in this process, with progress on stderr, clean stop by signal, and exit codes that say how it ended.
 */
import { openStore } from '../checkpoint-store/open-store.ts'
import { unreachable } from '../engine/api/index.ts'
import { runJob, type RunEnd } from '../engine/coordinator/run-job.ts'
import { exitCodeOf } from '../engine/host/exit-code.ts'
import { createHolder, isHolderAlive } from '../engine/host/holder.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { parseCheckpoint, parseParallelism, parseRestore, parseSettings } from './arguments.ts'
import { codeIdentity } from './code-identity.ts'
import { ExitGuard } from './exit-guard.ts'
import { loadJob } from './load-job.ts'
import { createReporter, type Reporter } from './reporter.ts'
import { openRestore } from './savepoint-at.ts'
import { createWorkerHost, parseWorkers } from './workers.ts'

export interface RunFlags {
  readonly store: string
  readonly set?: readonly string[]
  readonly restore: string
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: string
  readonly drop?: readonly string[]
  readonly takeOver?: boolean
  readonly parallelism?: string
  readonly json?: boolean
  readonly workers?: string
}

export async function run(jobFile: string, flags: RunFlags): Promise<number> {
  const reporter = createReporter(flags.json === true)
  using guard = new ExitGuard(reporter)
  using signals = new StopSignals(reporter, (code) => guard.exit(code))
  try {
    const end = await runFile(jobFile, flags, { reporter, stopSignal: signals.stopSignal })
    reporter.ended(end)
    return codeOf(end, signals.code)
  } catch (error) {
    if (signals.code !== undefined && error === signals.stopSignal.reason) return signals.code
    const code = exitCodeOf(error)
    reporter.refused(error, code)
    return code
  }
}

interface Surroundings {
  readonly reporter: Reporter
  readonly stopSignal: AbortSignal
}

async function runFile(jobFile: string, flags: RunFlags, { reporter, stopSignal }: Surroundings): Promise<RunEnd> {
  const settings = parseSettings(flags.set ?? [])
  const asked = parseRestore(flags.restore)
  const acceptLoss = flags.acceptLoss === undefined ? null : parseCheckpoint(flags.acceptLoss, '--accept-loss')
  const workers = flags.workers === undefined ? undefined : parseWorkers(flags.workers)
  const { definition, file } = await loadJob(jobFile)
  const identity = await codeIdentity(file)
  await using opened = await openRestore(asked)
  await using store = await openStore(flags.store)
  await using holder = await createHolder()
  const runtime = nodeRuntime(reporter.logger)
  const baseDirectory = process.cwd()
  const surroundings = { file, codeIdentity: identity, store: flags.store, baseDirectory, runtime }
  return await runJob({
    definition,
    settings,
    store,
    runtime,
    ...(workers === undefined ? {} : { createHost: (built) => createWorkerHost({ ...surroundings, workers }, built) }),
    baseDirectory,
    codeIdentity: identity,
    holder: holder.identity,
    isHolderAlive: (other) => isHolderAlive(other, holder.identity),
    restore: opened.restore,
    acceptDuplicates: flags.acceptDuplicates ?? false,
    acceptLoss,
    drop: flags.drop ?? [],
    takeOver: flags.takeOver ?? false,
    ...(flags.parallelism === undefined ? {} : { parallelism: parseParallelism(flags.parallelism) }),
    stopSignal,
    onEvent: (event) => reporter.event(event),
  })
}

/** A clean stop by signal keeps the code that shells expect; an input that ended all the same is success. */
function codeOf(end: RunEnd, signalCode: number | undefined): number {
  switch (end.state) {
    case 'FINISHED':
    case 'ALREADY_FINISHED':
      return 0
    case 'STOPPED':
    case 'CANCELED':
      return signalCode ?? 0
    case 'FAILED':
      return 1
    default:
      return unreachable(end)
  }
}

const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** The first signal stops with a last checkpoint; the second exits at once, which is a crash and as safe as one. */
class StopSignals implements Disposable {
  readonly #stop = new AbortController()
  readonly #reporter: Reporter
  readonly #exit: (code: number) => void
  #code: number | undefined

  constructor(reporter: Reporter, exit: (code: number) => void) {
    this.#reporter = reporter
    this.#exit = exit
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal)
  }

  get stopSignal(): AbortSignal {
    return this.#stop.signal
  }

  /** Undefined: no signal came. */
  get code(): number | undefined {
    return this.#code
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal)
  }

  readonly #onSignal = (signal: keyof typeof SIGNAL_CODES): void => {
    if (this.#code !== undefined) this.#exit(SIGNAL_CODES[signal])
    this.#code = SIGNAL_CODES[signal]
    this.#reporter.signal(signal)
    this.#stop.abort(new Error(`stopped by ${signal}`))
  }
}
