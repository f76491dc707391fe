/**
 * A real Kafka broker of one node in a directory of its own: for tests, benchmarks and examples. It can be killed and started again on the
 * same data and ports.
 */
import { type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TerminalError } from '../../engine/api/index.ts'
import { installKafka, type Installation } from './installation.ts'
import { startJava } from './java-process.ts'
import { findFreePorts, untilClosed } from './ports.ts'
import { HOST, serverProperties, type Listeners } from './server-properties.ts'

export interface BrokerOptions {
  /** Data, configuration and log; left out: a temporary one, removed in the end. One that holds data already is started with it. */
  readonly directory?: string
  /** Left out: a free one. */
  readonly port?: number
  /** Server properties beside or instead of the usual ones. */
  readonly settings?: Readonly<Record<string, string>>
  /** Feature levels at format, such as `{ 'transaction.version': 1 }`. */
  readonly features?: Readonly<Record<string, number>>
  /** Clients are sent to this port, of a proxy; `directAddress` is for those that shall not go through it. */
  readonly advertisedPort?: number
  /** Outlives this process (default false). */
  readonly isDetached?: boolean
  readonly say?: (line: string) => void
}

const START_TIMEOUT_MS = 120_000
const STOP_TIMEOUT_MS = 30_000
const LOOK_AGAIN_MS = 20
/** Another process may take a port between our look and the broker's. */
const PORT_ATTEMPTS = 5
const STARTED = 'Kafka Server started'
const LOG_TAIL_LINES = 15

export class KafkaBroker implements AsyncDisposable {
  readonly directory: string
  readonly installation: Installation
  readonly #options: BrokerOptions
  #listeners: Listeners
  #process: ChildProcess | undefined

  private constructor(installation: Installation, directory: string, listeners: Listeners, options: BrokerOptions) {
    this.installation = installation
    this.directory = directory
    this.#listeners = listeners
    this.#options = options
  }

  /** Resolves when it serves. @throws TerminalError with what its log says, or with what must be installed */
  static async start(options: BrokerOptions = {}): Promise<KafkaBroker> {
    const installation = await installKafka(options.say)
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'sluice-kafka-'))
    mkdirSync(directory, { recursive: true })
    const broker = new KafkaBroker(installation, directory, await chooseListeners(options), options)
    for (let attempt = 1; ; attempt += 1) {
      try {
        await broker.#format()
        await broker.restart()
        return broker
      } catch (error) {
        const isTaken = options.port === undefined && broker.#log().includes('Address already in use')
        if (isTaken && attempt < PORT_ATTEMPTS) {
          broker.#listeners = await chooseListeners(options)
          rmSync(broker.#dataDirectory, { recursive: true, force: true })
          continue
        }
        // The log stays: the error names it.
        if (options.directory === undefined) rmSync(broker.#dataDirectory, { recursive: true, force: true })
        throw error
      }
    }
  }

  /** For clients: `host:port`. */
  get address(): string {
    return `${HOST}:${this.#listeners.advertised?.port ?? this.#listeners.port}`
  }

  /** Past the proxy, where there is one. */
  get directAddress(): string {
    return `${HOST}:${this.#listeners.advertised?.directPort ?? this.#listeners.port}`
  }

  /** Where the broker itself listens for those that were sent to `address`. */
  get port(): number {
    return this.#listeners.port
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  get logPath(): string {
    return join(this.directory, 'kafka.log')
  }

  /** On the same data and ports, after `kill` or `stop`; resolves when it serves. */
  async restart(): Promise<void> {
    this.#writeProperties()
    const log = openSync(this.logPath, 'a')
    const from = this.#log().length
    const dump = existsSync(this.installation.classArchive) ? [] : [`-XX:ArchiveClassesAtExit=${this.#dumpPath}`]
    const child = startJava(this.installation, {
      main: 'kafka.Kafka',
      argv: [this.#propertiesPath],
      flags: ['-Xms64m', '-Xmx384m', '-Dorg.slf4j.simpleLogger.logFile=System.out', ...dump],
      stdio: ['ignore', log, log],
      isDetached: this.#options.isDetached ?? false,
    })
    closeSync(log)
    this.#process = child
    await this.#untilStarted(child, from)
  }

  /** As a crash: SIGKILL. Resolves when its process and its sockets are gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** In order: SIGTERM. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
    if (existsSync(this.#dumpPath)) renameSync(this.#dumpPath, this.installation.classArchive)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (existsSync(this.installation.classArchive) ? this.kill() : this.stop())
    if (this.#options.directory === undefined) rmSync(this.directory, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    this.#process = undefined
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill(signal)
      const late = new AbortController()
      const kill = sleep(STOP_TIMEOUT_MS, undefined, { signal: late.signal }).then(() => child.kill('SIGKILL'))
      await gone
      late.abort()
      await kill.catch(() => undefined)
    }
    await untilClosed(this.#listeners.port, AbortSignal.timeout(STOP_TIMEOUT_MS))
  }

  async #format(): Promise<void> {
    if (existsSync(join(this.#dataDirectory, 'meta.properties'))) return
    this.#writeProperties()
    const features = Object.entries(this.#options.features ?? {})
    const log = openSync(this.logPath, 'a')
    const child = startJava(this.installation, {
      main: 'kafka.tools.StorageTool',
      argv: [
        'format',
        '--standalone',
        '-t',
        newClusterId(),
        '-c',
        this.#propertiesPath,
        ...features.flatMap(([name, level]) => ['--feature', `${name}=${level}`]),
      ],
      flags: ['-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.logFile=System.out'],
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const code = await exitOf(child)
    if (code !== 0) throw this.#failure(`its data directory could not be made (exit code ${code})`)
  }

  async #untilStarted(child: ChildProcess, from: number): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS
    let hasEnded = false
    child.once('exit', () => (hasEnded = true))
    child.once('error', () => (hasEnded = true))
    while (!this.#log().includes(STARTED, from)) {
      if (hasEnded) throw this.#failure('it ended')
      if (Date.now() > deadline) {
        child.kill('SIGKILL')
        throw this.#failure(`it did not serve within ${START_TIMEOUT_MS} ms`)
      }
      await sleep(LOOK_AGAIN_MS)
    }
  }

  #failure(what: string): TerminalError {
    const lines = this.#log().trimEnd().split('\n')
    const telling = lines.filter((line) => /ERROR|FATAL|^Caused|Exception/.test(line)).slice(0, LOG_TAIL_LINES)
    const shown = telling.length > 0 ? telling : lines.slice(-LOG_TAIL_LINES)
    return new TerminalError(
      `the Kafka broker in ${this.directory} did not start: ${what}. Its log (${this.logPath}) says:\n${shown.join('\n')}`,
    )
  }

  #writeProperties(): void {
    const text = serverProperties(this.#listeners, this.#dataDirectory, this.#options.settings ?? {})
    writeFileSync(this.#propertiesPath, text)
  }

  #log(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8') : ''
  }

  get #dataDirectory(): string {
    return join(this.directory, 'data')
  }

  get #propertiesPath(): string {
    return join(this.directory, 'server.properties')
  }

  get #dumpPath(): string {
    return join(this.directory, 'classes.jsa')
  }
}

async function chooseListeners(options: BrokerOptions): Promise<Listeners> {
  const [port = 0, controllerPort = 0, directPort = 0] = await findFreePorts(3)
  return {
    port: options.port ?? port,
    controllerPort,
    ...(options.advertisedPort !== undefined && { advertised: { port: options.advertisedPort, directPort } }),
  }
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
}

/** 16 bytes in base64url; a leading dash would be taken for an option. */
function newClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? `k${id.slice(1)}` : id
}
