/**
 * Where sockets of running processes are: in a directory that only their user can enter, under names that nobody guesses. Who may open the
 * directory may ask for anything; so both sides look at it before they use it.
 *
 * A name is bound hidden and renamed once somebody listens: what is refused under a visible name is dead, and may be swept at once.
 */
import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { messageOf, TerminalError } from '../../engine/api/index.ts'

/** What fits into the address of a unix socket everywhere, its end included. */
const MAX_PATH_BYTES = 103
const NAME = /^[0-9a-f]{24}\.sock$/
const HIDDEN_NAME = /^\.[0-9a-f]{24}\.sock$/
/** As many leftovers a start looks at. */
const MOST_SWEPT = 200
const PROBE_MS = 1_000
/** Between bind and rename there are microseconds. */
const HIDDEN_FOR_MS = 60_000

/** Listens on a socket of its own. @throws TerminalError where that cannot be done safely */
export async function listenPrivately(server: Server): Promise<string> {
  const directory = await privateDirectory()
  const name = `${randomBytes(12).toString('hex')}.sock`
  const [hidden, path] = [join(directory, `.${name}`), join(directory, name)]
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(hidden, () => {
      server.off('error', reject)
      resolve()
    })
  })
  await chmod(hidden, 0o600)
  await rename(hidden, path)
  return path
}

/** It is a socket of ours, in a directory that is ours alone; a path from a log may name anything. */
export async function isPrivateSocket(path: string): Promise<boolean> {
  if (!isAbsolute(path) || !NAME.test(basename(path)) || Buffer.byteLength(path) > MAX_PATH_BYTES) return false
  const info = await lstat(path).catch(() => undefined)
  if (info?.isSocket() !== true) return false
  // Root may ask for anything, of the processes of anybody.
  const mayAsk = info.uid === process.getuid?.() || process.getuid?.() === 0
  return mayAsk && (await problemOf(dirname(path), info.uid)) === undefined
}

/** Sockets that killed processes have left. */
export async function sweepSockets(mine: string): Promise<void> {
  const directory = dirname(mine)
  const names = (await readdir(directory)).filter((name) => NAME.test(name) || HIDDEN_NAME.test(name))
  const others = names.map((name) => join(directory, name)).filter((path) => path !== mine)
  await Promise.all(
    others.slice(0, MOST_SWEPT).map(async (path) => {
      if (!(await isRefused(path))) return
      if (NAME.test(basename(path)) || (await isOld(path))) await rm(path, { force: true })
    }),
  )
}

async function privateDirectory(): Promise<string> {
  const uid = process.getuid?.()
  if (uid === undefined) throw unusable('this system has no unix sockets with owners')
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? ''
  const candidates = [...(isAbsolute(runtime) ? [join(runtime, 'sluice')] : []), join(tmpdir(), `sluice-${uid}`)]
  let problem = ''
  for (const directory of candidates) {
    problem = await made(directory)
    if (problem === '') return directory
  }
  throw unusable(problem)
}

/** Empty: it can be used. */
async function made(directory: string): Promise<string> {
  const longest = join(directory, `.${'0'.repeat(24)}.sock`)
  if (Buffer.byteLength(longest) > MAX_PATH_BYTES) return `${directory} is too long for the path of a unix socket`
  try {
    await mkdir(directory, { mode: 0o700 })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return messageOf(error)
  }
  return (await problemOf(directory)) ?? ''
}

/** Undefined: a directory, not a link to one, of this owner, and that nobody else may open. */
async function problemOf(directory: string, owner = process.getuid?.()): Promise<string | undefined> {
  const info = await lstat(directory).catch(() => undefined)
  if (info?.isDirectory() !== true) return `${directory} is not a directory`
  if (info.uid !== owner) return `${directory} belongs to user ${info.uid}`
  if ((info.mode & 0o077) === 0) return undefined
  return `${directory} can be opened by others (mode ${(info.mode & 0o777).toString(8)}); make it 700`
}

function unusable(problem: string): TerminalError {
  return new TerminalError(
    `no control socket: ${problem}. Who asks something of this process does so through the checkpoint store, which takes a second`,
    { code: 'SLUICE_CONTROL_SOCKET' },
  )
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const answer = (refused: boolean): void => {
      socket.destroy()
      resolve(refused)
    }
    socket.setTimeout(PROBE_MS, () => answer(false))
    socket.once('connect', () => answer(false))
    socket.on('error', (error: NodeJS.ErrnoException) => answer(error.code === 'ECONNREFUSED'))
  })
}

async function isOld(path: string): Promise<boolean> {
  const info = await lstat(path).catch(() => undefined)
  return info !== undefined && Date.now() - info.mtimeMs > HIDDEN_FOR_MS
}
