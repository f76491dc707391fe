/** Which process is asked, and what a peer that does not keep to the rules can do. */
import { cpSync, mkdirSync } from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { until } from '../../kills/run.ts'
import { AskedArena, SocketPlace, socketOf, STOP } from './asking.ts'

const place = new SocketPlace()
afterAll(() => place[Symbol.dispose]())

// Most of their time they wait.
describe.concurrent('asked', () => {
  test('a copy of a store names a process that runs on another one: it is not asked, and runs on', async () => {
    using arena = new AskedArena()
    const run = await arena.running()
    cpSync(arena.path('.sluice'), arena.path('copy'), { recursive: true })
    const before = run.events('completed').length
    await until(() => run.events('completed').length > before + 1, 'the process to go on')
    for (const verb of [['stop'], ['stop', '--drain'], ['cancel'], ['checkpoints', 'trigger']]) {
      const said = await arena.hear('socket', ...verb, 'kills', '--store', 'copy')
      expect(said).toMatchObject({ code: 'SLUICE_CONTROL_OTHER_STORE', exitCode: 2 })
    }
    // Through the store it is the copy that is written to.
    const lost = await arena.hear('store', ...STOP, '--store', 'copy', '--timeout', '1.5')
    expect(lost).toMatchObject({ outcome: 'timed-out', exitCode: 1 })
    expect(run.events('asked')).toEqual([])
    expect(run.child.exitCode).toBe(null)
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED' })
    await run.expectCode(0)
    await arena.finish()
  })

  test('a log that names a socket of something else has nobody ask there', async () => {
    using arena = new AskedArena()
    const run = await arena.running()
    const heard: string[] = []
    mkdirSync(arena.path('private'), { mode: 0o700 })
    const other = arena.path('private', 'other.sock')
    const server = createServer((socket) => socket.on('data', (data: Buffer) => heard.push(data.toString())))
    await new Promise<void>((resolve) => {
      server.listen(other, resolve)
    })
    run.child.kill('SIGSTOP')
    arena.changeNewest((newest) => {
      const { holder } = newest as unknown as { readonly holder: object }
      return { ...newest, holder: { ...holder, control: { socket: other } } }
    })
    const said = await arena.hear('socket', ...STOP, '--timeout', '1')
    expect(said).toMatchObject({ outcome: 'timed-out', via: 'store' })
    expect(heard).toEqual([])
    server.close()
  })

  test('a stopped process is waited for and not asked; once it is woken it runs on', async () => {
    using arena = new AskedArena()
    const run = await arena.running()
    run.child.kill('SIGSTOP')
    const said = await arena.hear('socket', ...STOP, '--timeout', '1')
    expect(said).toMatchObject({ outcome: 'timed-out', via: null, exitCode: 1 })
    expect(said.reason).toMatch(/not asked in time: process \d+ on .* does not answer/)
    const waiting = arena.hear('socket', 'checkpoints', 'trigger', 'kills')
    run.child.kill('SIGCONT')
    expect(await waiting).toMatchObject({ outcome: 'completed', exitCode: 0 })
    expect(run.events('asked').map(({ verb }) => verb)).toEqual(['checkpoint'])
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', exitCode: 0 })
    await run.expectCode(0)
    await arena.finish()
  })

  test('peers that send garbage, too much, nothing or too late, and many of them, neither stop the job nor hold it up', async () => {
    using arena = new AskedArena()
    const run = await arena.running()
    const path = socketOf(arena)
    const talks: Promise<string>[] = []
    const silent: Socket[] = []
    const talk = (text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(path)
        let said = ''
        socket.on('data', (data: Buffer) => (said += data.toString()))
        socket.on('error', () => undefined)
        socket.once('close', () => resolve(said))
        socket.write(text)
      })
    for (let time = 0; time < 20; time += 1) {
      talks.push(
        talk('garbage\n'),
        talk('{"sluice":1,"job":"kills","verb":"format","generation":1}\n'),
        talk('{"sluice":1,"job":"other","verb":"stop","generation":1}\n'),
        talk('{"sluice":2,"job":"kills","verb":"stop","generation":1}\n'),
        talk('{'.repeat(1_000_000)),
        talk('\0\n\n\n{}\n'),
      )
      const socket = connect(path)
      socket.on('error', () => undefined)
      silent.push(socket)
    }
    for (const said of await Promise.all(talks)) {
      expect(said).toMatch(
        /^(?:\{"sluice":1,"job":"kills","seq":\d+,"nonce":"\w+"\}\n)?(?:\{"sluice":1,"kind":"refused".*\}\n)?$/,
      )
    }
    expect(run.events('asked')).toEqual([])
    expect(await arena.hear('socket', 'checkpoints', 'trigger', 'kills')).toMatchObject({
      outcome: 'completed',
      via: 'socket',
    })
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ state: 'STOPPED', via: 'socket', exitCode: 0 })
    await run.expectCode(0)
    for (const socket of silent) socket.destroy()
    await arena.finish()
  })

  test('what does not run is not asked: unknown, ended in each way, died, and a process that cannot be asked', async () => {
    using arena = new AskedArena()
    expect(await arena.ask('socket', ...STOP)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/there is no checkpoint store/),
    })
    const run = await arena.running()
    expect(await arena.hear('socket', 'stop', 'other')).toMatchObject({ code: 'SLUICE_JOB_UNKNOWN', exitCode: 2 })
    expect(await arena.ask('socket', ...STOP, '--timeout', 'soon')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/--timeout soon: give/),
    })
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ exitCode: 0 })
    await run.expectCode(0)
    const had = { outcome: 'had-ended', state: 'STOPPED' }
    expect(await arena.hear('socket', ...STOP)).toMatchObject({ ...had, exitCode: 0 })
    expect(await arena.hear('socket', 'cancel', 'kills')).toMatchObject({ ...had, exitCode: 0 })
    expect(await arena.hear('socket', ...STOP, '--drain')).toMatchObject({ ...had, exitCode: 2 })
    expect(await arena.hear('socket', 'checkpoints', 'trigger', 'kills')).toMatchObject({ ...had, exitCode: 2 })
    const next = await arena.running()
    next.child.kill('SIGSTOP')
    arena.changeNewest((newest) => {
      const { control: _control, ...holder } = (newest as unknown as { readonly holder: { readonly control?: object } })
        .holder
      return { ...newest, holder } as typeof newest
    })
    const older = await arena.hear('socket', ...STOP)
    expect(older).toMatchObject({ code: 'SLUICE_CONTROL_UNSUPPORTED', exitCode: 2 })
    expect(older.error).toMatch(new RegExp(`process ${next.child.pid} .* Send it SIGTERM`))
  })
})
