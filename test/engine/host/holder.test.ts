import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { HolderIdentity } from '../../../engine/checkpoint/log-entry.ts'
import { createHolder, isHolderAlive } from '../../../engine/host/holder.ts'

test('a holder lives until it is disposed of', async () => {
  const self = await createHolder()
  const other = await createHolder()
  expect(other.identity.socket).not.toBe(self.identity.socket)
  expect(await isHolderAlive(other.identity, self.identity)).toBe(true)
  await other[Symbol.asyncDispose]()
  expect(await isHolderAlive(other.identity, self.identity)).toBe(false)
  await self[Symbol.asyncDispose]()
})

test('a stopped process is alive, a killed one is dead at once', async () => {
  await using self = await createHolder()
  const child = fork(fileURLToPath(new URL('./hold.main.ts', import.meta.url)))
  const [message] = await once(child, 'message')
  const identity = parseIdentity(message)
  expect(identity.pid).toBe(child.pid)
  expect(await isHolderAlive(identity, self.identity)).toBe(true)
  child.kill('SIGSTOP')
  if (process.platform === 'linux') await stopped(identity.pid)
  for (let ask = 0; ask < 20; ask += 1) expect(await isHolderAlive(identity, self.identity)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await isHolderAlive(identity, self.identity)).toBe(false)
})

test('of another boot, network or kind of name nothing is said', async () => {
  await using self = await createHolder()
  const { identity } = self
  for (const other of [{ bootId: 'another' }, { netNamespace: 'net:[1]' }, { socket: '/etc/passwd' }]) {
    expect(await isHolderAlive({ ...identity, ...other }, identity)).toBe(null)
  }
})

async function stopped(pid: number): Promise<void> {
  while (!/^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await new Promise(setImmediate)
}

function parseIdentity(message: unknown): HolderIdentity {
  return message as HolderIdentity
}
