/** `npm run services -- kafka`: one broker of the checkout, kept up until it is taken down; its data stays between. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { messageOf, TerminalError } from '../../engine/api/index.ts'
import { KafkaBroker } from './broker.ts'
import { isFree } from './ports.ts'
import { isAlive } from './process-lock.ts'

const USAGE = `Usage: npm run services -- kafka up|down|status [--port <n>] [--directory <path>]

  up       starts a broker, or says where the one that is up listens
  down     ends it; --crash: as a crash does; --clean: and removes its data
  status   says whether it is up (exit code 0) or not (1)

  --port <n>           where clients connect (default 19092)
  --directory <path>   its data, configuration and log (default .cache/services/kafka)

Needs Java 17 or newer and, the first time, Maven.`

const DEFAULT_PORT = '19092'
const DEFAULT_DIRECTORY = '.cache/services/kafka'
const END_TIMEOUT_MS = 30_000
const LOOK_AGAIN_MS = 50

/** Resolves with the exit code. */
export async function runKafkaCommand(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        port: { type: 'string', default: DEFAULT_PORT },
        directory: { type: 'string', default: DEFAULT_DIRECTORY },
        crash: { type: 'boolean', default: false },
        clean: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const [verb, ...rest] = positionals
    const place = new Place(resolve(values.directory))
    if (values.help) {
      console.log(USAGE)
      return 0
    }
    if (rest.length === 0 && verb === 'up') return await up(place, portOf(values.port))
    if (rest.length === 0 && verb === 'down') return await down(place, values)
    if (rest.length === 0 && verb === 'status') return status(place)
  } catch (error) {
    console.error(messageOf(error))
    return error instanceof TerminalError ? 1 : 2
  }
  console.error(USAGE)
  return 2
}

async function up(place: Place, port: number): Promise<number> {
  if (place.running() !== undefined) return status(place)
  if (!(await isFree(port))) throw new TerminalError(`port ${port} is in use: name another one with --port`)
  mkdirSync(place.directory, { recursive: true })
  const broker = await KafkaBroker.start({ directory: place.directory, port, isDetached: true, say: console.log })
  place.note({ pid: broker.pid ?? 0, address: broker.address })
  return status(place)
}

function status(place: Place): number {
  const running = place.running()
  console.log(running === undefined ? 'kafka is down' : `kafka is up: ${running.address} (process ${running.pid})`)
  if (running !== undefined) console.log(`its log: ${join(place.directory, 'kafka.log')}`)
  return running === undefined ? 1 : 0
}

async function down(
  place: Place,
  { crash, clean }: { readonly crash: boolean; readonly clean: boolean },
): Promise<number> {
  const running = place.running()
  if (running !== undefined) {
    process.kill(running.pid, crash ? 'SIGKILL' : 'SIGTERM')
    const deadline = Date.now() + END_TIMEOUT_MS
    while (place.running() !== undefined) {
      if (Date.now() > deadline) process.kill(running.pid, 'SIGKILL')
      await sleep(LOOK_AGAIN_MS)
    }
  }
  if (clean && place.isOurs) rmSync(place.directory, { recursive: true, force: true })
  console.log('kafka is down')
  return 0
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new RangeError(`--port must be a number from 1 to 65535, not "${text}"`)
}

interface Running {
  readonly pid: number
  readonly address: string
}

/** The directory of the broker, with a note of its process. */
class Place {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  note(running: Running): void {
    writeFileSync(this.#notePath, JSON.stringify(running))
  }

  /** Nothing is removed from a directory that no broker was started in. */
  get isOurs(): boolean {
    return existsSync(this.#notePath)
  }

  /** Undefined also where the process of that number is another one by now. */
  running(): Running | undefined {
    if (!existsSync(this.#notePath)) return undefined
    const running = JSON.parse(readFileSync(this.#notePath, 'utf8')) as Running
    return isAlive(running.pid) && this.#isBroker(running.pid) ? running : undefined
  }

  #isBroker(pid: number): boolean {
    const commandLine = `/proc/${pid}/cmdline`
    if (!existsSync('/proc/self/cmdline')) return true
    return (
      existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(join(this.directory, 'server.properties'))
    )
  }

  get #notePath(): string {
    return join(this.directory, 'running.json')
  }
}
