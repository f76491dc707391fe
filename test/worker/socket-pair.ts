/** Both ends of a unix socket, in this process. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SocketPair extends Disposable {
  readonly ends: readonly [Socket, Socket]
}

export async function socketPair(): Promise<SocketPair> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-pair-'))
  const server = createServer()
  try {
    server.listen(join(directory, 'socket'))
    await once(server, 'listening')
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const connecting = connect(join(directory, 'socket'))
    await once(connecting, 'connect')
    const [other] = await accepted
    return {
      ends: [connecting, other],
      [Symbol.dispose]: () => {
        connecting.destroy()
        other.destroy()
      },
    }
  } finally {
    server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
