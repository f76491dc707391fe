/** Where sockets of running processes are, and who may reach them. */
import { chmodSync, chownSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isPrivateSocket, listenPrivately } from '../../../cli/control/socket-place.ts'
import { until } from '../../kills/run.ts'
import { AskedArena, SocketPlace, socketOf, STOP } from './asking.ts'

let place: SocketPlace
beforeEach(() => {
  place = new SocketPlace()
})
afterEach(() => place[Symbol.dispose]())

test('a socket of ours is reached as long as nobody else could have put it there', async () => {
  const server = createServer()
  const path = await listenPrivately(server)
  expect([lstatSync(place.directory).mode & 0o777, lstatSync(path).mode & 0o777]).toEqual([0o700, 0o600])
  expect(await isPrivateSocket(path)).toBe(true)
  for (const other of [`${path}x`, `${place.directory}/../x.sock`, path.slice(1), place.directory, '']) {
    expect(await isPrivateSocket(other)).toBe(false)
  }
  for (const mode of [0o710, 0o701, 0o770, 0o777]) {
    chmodSync(place.directory, mode)
    expect(await isPrivateSocket(path)).toBe(false)
  }
  chmodSync(place.directory, 0o700)
  expect(await isPrivateSocket(path)).toBe(true)
  server.close()
})

// Only root can give something away.
test.runIf(process.getuid?.() === 0)(
  'root asks the processes of others, but not by a directory of a third',
  async () => {
    const server = createServer()
    const path = await listenPrivately(server)
    chownSync(place.directory, 65_534, 65_534)
    expect(await isPrivateSocket(path)).toBe(false)
    chownSync(path, 65_534, 65_534)
    expect(await isPrivateSocket(path)).toBe(true)
    server.close()
  },
)

test.each([
  [
    'open to others',
    () => mkdirSync(place.directory, { mode: 0o755 }),
    /can be opened by others \(mode 755\); make it 700/,
  ],
  ['a link', () => symlinkSync('.', place.directory), /is not a directory/],
  [
    "somebody else's",
    () => {
      mkdirSync(place.directory, { mode: 0o700 })
      chownSync(place.directory, 65_534, 65_534)
    },
    /belongs to user 65534/,
  ],
  ['too far down', () => (process.env['TMPDIR'] += `/${'x'.repeat(80)}`), /is too long for the path of a unix socket/],
] as const)('a directory that is %s is refused, and nothing is put there', async (what, make, problem) => {
  // Only root can give a directory away.
  if (what === "somebody else's" && process.getuid?.() !== 0) return
  make()
  const server = createServer()
  const error: unknown = await listenPrivately(server).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'SLUICE_CONTROL_SOCKET', message: expect.stringMatching(problem) })
  expect(server.listening).toBe(false)
})

test('a run whose directory is not private says so and is asked through the store', async () => {
  mkdirSync(place.directory, { mode: 0o755 })
  using arena = new AskedArena()
  const run = await arena.running()
  expect(run.said).toMatch(
    /can be opened by others \(mode 755\); make it 700\. Who asks something of this process does so through the/,
  )
  expect(place.sockets).toEqual([])
  expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', via: 'store' })
  await run.expectCode(0)
})

test('the socket is where only its user can reach it, and goes with its process, a killed one at the next start', async () => {
  using arena = new AskedArena()
  const run = await arena.running()
  expect(lstatSync(place.directory).mode & 0o777).toBe(0o700)
  expect(place.sockets).toEqual([socketOf(arena).slice(place.directory.length + 1)])
  run.child.kill('SIGKILL')
  await run.ended
  expect(place.sockets).toHaveLength(1)
  const next = await arena.running()
  await until(() => place.sockets.length === 1, 'the dead socket to be swept')
  expect(place.sockets).toEqual([socketOf(arena).slice(place.directory.length + 1)])
  expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', via: 'socket' })
  await next.expectCode(0)
  expect(place.sockets).toEqual([])
})

test('opened to others later, the asker does not connect', async () => {
  using arena = new AskedArena()
  const run = await arena.running()
  chmodSync(place.directory, 0o750)
  expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', via: 'store' })
  await run.expectCode(0)
})

test('without a socket of its own, a process is asked through the store', async () => {
  process.env['SLUICE_CONTROL'] = 'store'
  try {
    using arena = new AskedArena()
    const run = await arena.running()
    expect(await arena.hear('socket', 'checkpoints', 'trigger', 'kills')).toMatchObject({
      outcome: 'completed',
      via: 'store',
    })
    await until(() => run.events('asked').length === 1, 'the process to be asked')
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', via: 'store' })
    await run.expectCode(0)
  } finally {
    delete process.env['SLUICE_CONTROL']
  }
})
