/**
 * The jars of the Kafka that tests, benchmarks and examples run on: fetched once by Maven, kept in the cache of the user, shared by all
 * processes. What is missing on the machine is said with what to install.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TerminalError } from '../../engine/api/index.ts'
import { withProcessLock } from './process-lock.ts'

export interface Installation {
  readonly version: string
  readonly java: string
  readonly classPath: string
  /** Of class data that lets a JVM start in half the time: written by the first broker that ends cleanly, absent until then. */
  readonly classArchive: string
}

const OLDEST_JAVA = 17
const POM = fileURLToPath(new URL('pom.xml', import.meta.url))
/** Maven on a slow line. */
const DOWNLOAD_TIMEOUT_MS = 300_000

/** Installs Kafka where it is not yet; `SLUICE_KAFKA_VERSION` names another release than the usual one. @param say hears what takes long */
export async function installKafka(say: (line: string) => void = () => undefined): Promise<Installation> {
  const version = process.env['SLUICE_KAFKA_VERSION'] ?? versionInPom()
  const java = findJava()
  const jars = join(cacheDirectory(), version)
  if (!isFilled(jars)) {
    mkdirSync(dirname(jars), { recursive: true })
    await withProcessLock(`${jars}.lock`, DOWNLOAD_TIMEOUT_MS, async () => {
      if (!isFilled(jars)) await download(jars, version, say)
    })
  }
  const names = readdirSync(jars).filter((name) => name.endsWith('.jar'))
  const classPath = names.toSorted().map((name) => join(jars, name))
  return { version, java: java.path, classPath: classPath.join(':'), classArchive: archiveOf(jars, java, names) }
}

/** One per Java and set of jars: another one's is refused by the JVM, which then starts without. */
function archiveOf(jars: string, java: Java, names: readonly string[]): string {
  const hash = createHash('sha256').update([java.path, java.says, ...names].join('\n'))
  return join(jars, `classes-${hash.digest('hex').slice(0, 12)}.jsa`)
}

function versionInPom(): string {
  const version = /<kafka\.version>(.*)<\/kafka\.version>/.exec(readFileSync(POM, 'utf8'))?.[1]
  if (version === undefined) throw new TerminalError(`${POM} names no kafka.version`)
  return version
}

function cacheDirectory(): string {
  const given = process.env['XDG_CACHE_HOME']
  return join(given === undefined || given === '' ? join(homedir(), '.cache') : given, 'sluice', 'kafka')
}

/** A folder appears under its name only when it is whole. */
function isFilled(jars: string): boolean {
  return existsSync(jars)
}

interface Java {
  readonly path: string
  readonly says: string
}

function findJava(): Java {
  const home = process.env['JAVA_HOME']
  const path = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java')
  const { status, stderr } = spawnSync(path, ['-version'], { encoding: 'utf8' })
  const major = Number(/version "(\d+)/.exec(stderr ?? '')?.[1])
  if (status === 0 && major >= OLDEST_JAVA) return { path: resolvedJava(path), says: stderr }
  const found = status === 0 ? `${path} is Java ${major}` : `there is no ${path}`
  throw new TerminalError(
    `Kafka needs Java ${OLDEST_JAVA} or newer, and ${found}. Install a Java runtime (Debian, Ubuntu: ` +
      `apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) and put it in PATH, or set JAVA_HOME`,
  )
}

function resolvedJava(path: string): string {
  if (path !== 'java') return realpathSync(path)
  const directory = (process.env['PATH'] ?? '').split(':').find((one) => existsSync(join(one, 'java')))
  return directory === undefined ? path : realpathSync(join(directory, 'java'))
}

async function download(jars: string, version: string, say: (line: string) => void): Promise<void> {
  if (spawnSync('mvn', ['-v']).status !== 0) {
    throw new TerminalError(
      `Kafka ${version} is fetched once, by Maven, and there is no mvn in PATH. Install it (Debian, Ubuntu: ` +
        `apt-get install maven; macOS: brew install maven)`,
    )
  }
  say(`fetching Kafka ${version} by Maven, once (55 MB)`)
  const unfinished = `${jars}.${process.pid}`
  try {
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${unfinished}`]
    goal.push(`-Dkafka.version=${version}`)
    const { code, output } = await run('mvn', ['-q', '-B', '-f', POM, ...goal])
    if (code !== 0) {
      throw new TerminalError(
        `Maven could not fetch Kafka ${version} (exit code ${code}). It needs Maven Central, or a mirror of it in ` +
          `settings.xml:\n${output.slice(-2_000)}`,
      )
    }
    renameSync(unfinished, jars)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

async function run(command: string, argv: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'], timeout: DOWNLOAD_TIMEOUT_MS })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
