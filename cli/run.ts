/**
 * `sluice run`: a job in this process, with progress on stderr, clean stop by signal, and exit codes that say how it ended.
 */
import { openStore } from '../checkpoint-store/open-store.ts'
import { parseJobId, unreachable } from '../engine/api/index.ts'
import { runJob, type RunEnd, type RunOptions } from '../engine/coordinator/run-job.ts'
import type { HolderIdentity, LogEntry } from '../engine/checkpoint/log-entry.ts'
import { exitCodeOf } from '../engine/host/exit-code.ts'
import { createHolder, isHolderAlive } from '../engine/host/holder.ts'
import { nodeRuntime } from '../engine/host/node-runtime.ts'
import { parseCheckpoint, parseParallelism, parseRestore, parseSettings } from './arguments.ts'
import { codeIdentity } from './code-identity.ts'
import { controlWay } from './control/control-way.ts'
import { Control } from './control/control.ts'
import type { Verb } from './control/protocol.ts'
import { ExitGuard } from './exit-guard.ts'
import { loadJob } from './load-job.ts'
import { createReporter, type Reporter } from './reporter.ts'
import { openRestore } from './savepoint-at.ts'
import { checkStandby, standBy } from './standby.ts'
import { createWorkerHost, parseWorkers } from './workers.ts'

export interface RunFlags {
  readonly store: string
  readonly set?: readonly string[]
  readonly restore: string
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: string
  readonly drop?: readonly string[]
  readonly takeOver?: boolean
  readonly standby?: boolean
  readonly parallelism?: string
  readonly json?: boolean
  readonly workers?: string
}

export async function run(jobFile: string, flags: RunFlags): Promise<number> {
  const reporter = createReporter(flags.json === true)
  const control = new Control()
  using guard = new ExitGuard(reporter)
  using signals = new StopSignals(reporter, {
    stop: (reason) => control.stop(reason),
    exit: (code) => guard.exit(code),
  })
  try {
    const end = await runFile(jobFile, flags, { reporter, control })
    reporter.ended(end)
    return codeOf(end, signals.code)
  } catch (error) {
    if (signals.code !== undefined && error === control.stopSignal.reason) return signals.code
    const code = exitCodeOf(error)
    reporter.refused(error, code)
    return code
  }
}

interface Surroundings {
  readonly reporter: Reporter
  readonly control: Control
}

async function runFile(jobFile: string, flags: RunFlags, { reporter, control }: Surroundings): Promise<RunEnd> {
  const given = optionsOf(flags)
  const restoring = parseRestore(flags.restore)
  if (flags.standby === true) checkStandby(flags)
  const { definition, file } = await loadJob(jobFile)
  const job = parseJobId(definition.id)
  const way = controlWay()
  const identity = await codeIdentity(file)
  await using opened = await openRestore(restoring)
  await using store = await openStore(flags.store)
  await using holder = await createHolder()
  await using _open = control
  const runtime = nodeRuntime(reporter.logger)
  const onAsked = (verb: Verb): void => reporter.asked(verb)
  const asked = await control.open({ job, store, runtime, holder: holder.identity, way, onAsked })
  const alive = (other: HolderIdentity): Promise<boolean | null> => isHolderAlive(other, holder.identity)
  const surroundings = { file, codeIdentity: identity, store: flags.store, baseDirectory: process.cwd(), runtime }
  const { workers, ...options } = given
  let hasLed = false
  const lead = (): Promise<RunEnd> =>
    runJob({
      ...options,
      ...surroundings,
      restore: opened.restore,
      definition,
      store,
      ...(workers === undefined
        ? {}
        : { createHost: (built) => createWorkerHost({ ...surroundings, workers }, built) }),
      holder: { ...holder.identity, control: asked },
      isHolderAlive: alive,
      ...control.begin(),
      onLog: (log) => control.onLog(log),
      onEvent: (event) => {
        hasLed ||= event.kind === 'running'
        control.onEvent(event)
        reporter.event(event)
      },
    })
  if (flags.standby !== true) return await control.through(lead())
  const onLeader = (newest: LogEntry): void => reporter.standingBy(newest)
  const standing = {
    job,
    store,
    runtime,
    signal: control.stopSignal,
    isHolderAlive: alive,
    onLeader,
    lead,
    hasLed: () => hasLed,
  }
  return await control.through(standBy(standing))
}

/** @throws TerminalError for what cannot be read */
function optionsOf(flags: RunFlags): Given {
  const acceptLoss = flags.acceptLoss === undefined ? null : parseCheckpoint(flags.acceptLoss, '--accept-loss')
  return {
    settings: parseSettings(flags.set ?? []),
    acceptDuplicates: flags.acceptDuplicates ?? false,
    acceptLoss,
    drop: flags.drop ?? [],
    takeOver: flags.takeOver ?? false,
    ...(flags.workers === undefined ? {} : { workers: parseWorkers(flags.workers) }),
    ...(flags.parallelism === undefined ? {} : { parallelism: parseParallelism(flags.parallelism) }),
  }
}

type Given = Pick<RunOptions, 'settings' | 'acceptDuplicates' | 'acceptLoss' | 'drop' | 'takeOver' | 'parallelism'> & {
  readonly workers?: number
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

interface SignalActs {
  readonly stop: (reason: Error) => void
  readonly exit: (code: number) => void
}

/** Who signals a process and its group (GNU timeout, npm, some supervisors) sends the same signal twice, one right behind the other. */
const ONE_SIGNAL_MS = 100

/** The first signal stops with a last checkpoint; a later one exits at once, which is a crash and as safe as one. */
class StopSignals implements Disposable {
  readonly #reporter: Reporter
  readonly #acts: SignalActs
  #code: number | undefined
  #isSecondOne = false

  constructor(reporter: Reporter, acts: SignalActs) {
    this.#reporter = reporter
    this.#acts = acts
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal)
  }

  /** Undefined: no signal came. */
  get code(): number | undefined {
    return this.#code
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal)
  }

  readonly #onSignal = (signal: keyof typeof SIGNAL_CODES): void => {
    if (this.#isSecondOne) this.#acts.exit(SIGNAL_CODES[signal])
    if (this.#code !== undefined) return
    this.#code = SIGNAL_CODES[signal]
    // Behind the timer one more turn: a signal that came while the event loop was busy is heard before it, whatever the time is by then.
    setTimeout(() => setImmediate(() => (this.#isSecondOne = true)).unref(), ONE_SIGNAL_MS).unref()
    this.#reporter.signal(signal)
    this.#acts.stop(new Error(`stopped by ${signal}`))
  }
}
