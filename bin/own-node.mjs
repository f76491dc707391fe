/**
 * The command in another Node than the one that was started, as if it were this process: same streams, same signals, same ending. The
 * other one does not outlive this one, not even its SIGKILL: a pipe between them closes with either.
 */
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP']
const STARTER_FD = 3

/** Resolves with its exit code. */
export async function runIn(node, argv) {
  const child = spawn(node, argv, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, SLUICE_STARTER_FD: String(STARTER_FD) },
    // In a process group of its own: a Ctrl-C reaches it once, through us, not twice.
    detached: true,
  })
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code !== null) return resolve(code)
      for (const one of FORWARDED) process.removeAllListeners(one)
      process.kill(process.pid, signal)
    })
  })
}

/** In the other one. */
export function endWithStarter() {
  delete process.env.SLUICE_STARTER_FD
  new Socket({ fd: STARTER_FD })
    .on('close', () => process.kill(process.pid, 'SIGKILL'))
    .resume()
    .unref()
}
