import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { diskStore } from '../../checkpoint-store/disk.ts'
import { openStore } from '../../checkpoint-store/open-store.ts'
import { isWriterDead, temporaryOwner } from '../../checkpoint-store/temporary-name.ts'
import { TerminalError } from '../../engine/api/index.ts'
import { temporaryDirectory } from './disk-under-test.ts'

const scratch = temporaryDirectory()
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const bytes = new TextEncoder().encode('x')

test('only the owner can read what is stored, new directories above it included', async () => {
  await using store = await diskStore({ directory: join(scratch, 'modes/deeper') })
  await store.create('job/log/1', bytes)
  await store.put('job/blob/1', bytes)
  const mode = (path: string): number => statSync(join(scratch, 'modes', path)).mode & 0o777
  for (const directory of ['', 'deeper', 'deeper/job', 'deeper/job/log', 'deeper/job/blob']) {
    expect(mode(directory)).toBe(0o700)
  }
  expect(mode('deeper/job/log/1')).toBe(0o600)
  expect(mode('deeper/job/blob/1')).toBe(0o600)
})

test('no temporary file is left and none is ever listed', async () => {
  const directory = join(scratch, 'temporary')
  await using store = await diskStore({ directory })
  await Promise.all(Array.from({ length: 8 }, () => store.create('log/1', bytes)))
  expect(readdirSync(join(directory, 'log'))).toEqual(['1'])
  writeFileSync(join(directory, 'log', `~${temporaryOwner()}-ab-1`), 'half')
  const keys: string[] = []
  for await (const key of store.list('log/')) keys.push(key)
  expect(keys).toEqual(['log/1'])
})

test('temporary files of dead writers go when the directory is first used, those of living ones stay', async () => {
  const log = join(scratch, 'debris', 'log')
  mkdirSync(log, { recursive: true })
  const ended = execFileSync(process.execPath, ['-e', 'console.log(process.pid)'], { encoding: 'utf8' }).trim()
  const [host = ''] = temporaryOwner().split('-')
  const files = {
    dead: `~${host}-${ended}-aa-1`,
    alive: `~${host}-${process.ppid}-aa-1`,
    elsewhere: '~00000000-1-aa-1',
    oldElsewhere: '~00000001-1-aa-1',
  }
  for (const name of Object.values(files)) writeFileSync(join(log, name), 'half')
  utimesSync(join(log, files.oldElsewhere), 1, 1)
  expect(isWriterDead(files.dead)).toBe(true)

  await using store = await diskStore({ directory: join(scratch, 'debris') })
  await store.create('log/1', bytes)
  expect(readdirSync(log).toSorted()).toEqual(['1', files.alive, files.elsewhere].toSorted())
})

test('a listing takes along what dead writers left in directories that nobody writes to any more (F3)', async () => {
  const old = join(scratch, 'listed', 'blob', '1')
  mkdirSync(old, { recursive: true })
  const ended = execFileSync(process.execPath, ['-e', 'console.log(process.pid)'], { encoding: 'utf8' }).trim()
  const [host = ''] = temporaryOwner().split('-')
  const alive = `~${host}-${process.ppid}-aa-1`
  for (const name of [`~${host}-${ended}-aa-1`, alive, 'whole']) writeFileSync(join(old, name), 'x')
  await using store = await diskStore({ directory: join(scratch, 'listed') })
  const keys: string[] = []
  for await (const key of store.list('blob/')) keys.push(key)
  expect(keys).toEqual(['blob/1/whole'])
  expect(readdirSync(old).toSorted()).toEqual(['whole', alive].toSorted())
})

test('a store is opened by file URI, by plain path, relative to a base, or in memory', async () => {
  for (const uri of ['plain', `file:relative`, pathToFileURL(join(scratch, 'absolute')).href]) {
    await using store = await openStore(uri, { baseDirectory: scratch })
    await store.create('a', bytes)
    expect(store.uri).toMatch(/^file:\/\/\//)
  }
  for (const name of ['plain/a', 'relative/a', 'absolute/a']) expect(existsSync(join(scratch, name))).toBe(true)
  await using memory = await openStore('memory:')
  expect(memory.uri).toBe('memory:')
})

test('a scheme that nobody knows is refused, and the known ones are named', async () => {
  await expect(openStore('gopher://x/y')).rejects.toThrow(/no checkpoint store for "gopher:".*file:, memory:/)
  await expect(openStore('constructor:x')).rejects.toBeInstanceOf(TerminalError)
  await expect(openStore('file://host.example/x')).rejects.toBeInstanceOf(TerminalError)
  await expect(openStore('')).rejects.toBeInstanceOf(TerminalError)
})
