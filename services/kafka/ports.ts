/** Ports of this machine: below those that the system gives to clients, so that nobody gets one while its broker restarts. */
import { createServer, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST } from './server-properties.ts'

const FIRST_PORT = 20_000
const PORTS = 12_000
const LOOK_AGAIN_MS = 10

/** So many ports at which nobody listens now. Somebody may a moment later: who binds them must be ready to try again. */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>()
  while (found.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS)
    if (await isFree(port)) found.add(port)
  }
  return [...found]
}

export async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}

/** The listening socket of a killed process outlives it by milliseconds. */
export async function untilClosed(port: number, signal: AbortSignal): Promise<void> {
  while (await isListening(port)) await sleep(LOOK_AGAIN_MS, undefined, { signal })
}

async function isListening(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, HOST)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
