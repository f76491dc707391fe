/**
 * Who holds a job, in a way that others on the same host can check at once: a socket that only a living process answers.
 *
 * - The socket dies with the process, however it dies; nothing has to be cleaned up or to time out.
 * - A stopped process (SIGSTOP) still answers through its backlog: it is alive, it may be woken.
 * - `false` is only said when it is certain; another host, namespace or boot gives `null` (unknown).
 *
 * Linux: an abstract unix socket, which belongs to the network namespace, not to a file system. Elsewhere: a socket file in the temporary
 * directory (a named pipe on Windows); the file may stay behind, connecting to it is refused all the same. There hosts are told apart by
 * name and network addresses, boots are not: a socket of an earlier boot is refused too.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { hostname, networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HolderIdentity } from '../checkpoint/log-entry.ts'

/** Answers, as long as it is open and its process lives, that `identity` is alive. */
export interface Holder extends AsyncDisposable {
  readonly identity: HolderIdentity
}

/** A connect to a living process on this host is answered at once; a longer silence is no proof of death. */
const ANSWER_WITHIN_MS = 1_000

/** Opens the socket by which others see that this process lives. Does not keep the process running. */
export async function createHolder(): Promise<Holder> {
  const identity: HolderIdentity = {
    ...placeOf(),
    socket: `sluice-${randomBytes(16).toString('hex')}`,
    pid: process.pid,
    host: hostname(),
  }
  const address = addressOf(identity.socket)
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.destroy()
  })
  await listening(server, address)
  server.unref()
  return {
    identity,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          if (process.platform !== 'linux' && process.platform !== 'win32') rmSync(address, { force: true })
          resolve()
        })
      }),
  }
}

/** Is the process of `identity` still there? `self` is the asking process. Null: that cannot be told from here. */
export function isHolderAlive(identity: HolderIdentity, self: HolderIdentity): Promise<boolean | null> {
  const isSamePlace = identity.bootId === self.bootId && identity.netNamespace === self.netNamespace
  // What comes out of a log is not trusted to be a name of ours: it becomes an address.
  if (!isSamePlace || !/^sluice-[0-9a-f]{32}$/.test(identity.socket)) return Promise.resolve(null)
  return new Promise((resolve) => {
    const socket = connect(addressOf(identity.socket))
    const answer = (alive: boolean | null): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(ANSWER_WITHIN_MS, () => answer(null))
    socket.once('connect', () => answer(true))
    socket.on('error', (error: NodeJS.ErrnoException) => answer(aliveAfter(error.code)))
  })
}

function aliveAfter(code: string | undefined): boolean | null {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return false
    // Its backlog is full, or it answered and hung up: somebody is there.
    case 'EAGAIN':
    case 'ECONNRESET':
    case 'EPIPE':
      return true
    case undefined:
    default:
      return null
  }
}

function listening(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      // A failed accept (out of descriptors) concerns who asks, not us.
      server.on('error', () => undefined)
      resolve()
    })
  })
}

function addressOf(socket: string): string {
  if (process.platform === 'linux') return `\0${socket}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${socket}` : join(tmpdir(), socket)
}

/** Two processes with the same values can reach each other's sockets. What cannot be read is unique: unknown to everybody. */
function placeOf(): Pick<HolderIdentity, 'bootId' | 'netNamespace'> {
  if (process.platform !== 'linux') return { bootId: `host-${machineToken()}`, netNamespace: process.platform }
  return {
    bootId: orUnique(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    netNamespace: orUnique(() => readlinkSync('/proc/self/ns/net')),
  }
}

function orUnique(read: () => string): string {
  try {
    return read()
  } catch {
    return `unknown-${randomBytes(8).toString('hex')}`
  }
}

function machineToken(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).filter((one) => !one.internal).map((one) => one.mac),
  )
  return createHash('sha256')
    .update([hostname(), ...new Set(addresses.toSorted())].join('\n'))
    .digest('hex')
    .slice(0, 16)
}
