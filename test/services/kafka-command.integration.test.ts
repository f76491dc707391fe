/** `npm run services -- kafka`, and what it says where Java or Maven is missing. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { findFreePorts } from '../../services/kafka/ports.ts'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-services-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const main = fileURLToPath(new URL('../../services/run.ts', import.meta.url))

/** A JVM or two, on a machine that may do much else. */
const SLOW = { timeout: 180_000 }

interface Ended {
  readonly code: number | null
  readonly text: string
}

async function services(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, text }
}

function javaInPath(): string {
  const directory = (process.env['PATH'] ?? '').split(delimiter).find((one) => existsSync(join(one, 'java')))
  if (directory === undefined) throw new Error('no java in PATH')
  return realpathSync(join(directory, 'java'))
}

test('goes up once, says where it is, survives its starter, and goes down with its data', SLOW, async () => {
  const directory = join(scratch, 'kafka')
  const [port = 0] = await findFreePorts(1)
  const place = ['--directory', directory, '--port', String(port)]
  try {
    const up = await services(['kafka', 'up', ...place])
    expect(up.text).toMatch(new RegExp(`kafka is up: 127\\.0\\.0\\.1:${port} \\(process \\d+\\)`))
    expect(up.code).toBe(0)
    expect((await services(['kafka', 'up', ...place])).text.split('\n')[0]).toBe(up.text.split('\n')[0])
    expect(await services(['kafka', 'status', ...place])).toMatchObject({ code: 0, text: up.text })
  } finally {
    expect(await services(['kafka', 'down', '--crash', '--clean', ...place])).toEqual({
      code: 0,
      text: 'kafka is down\n',
    })
  }
  expect(existsSync(directory)).toBe(false)
  expect(await services(['kafka', 'status', ...place])).toEqual({ code: 1, text: 'kafka is down\n' })
})

test('without Java it says what to install', async () => {
  const ended = await services(['kafka', 'up', '--directory', join(scratch, 'no-java')], {
    PATH: scratch,
    JAVA_HOME: '',
  })
  expect(ended.code).toBe(1)
  expect(ended.text).toMatch(
    /^Kafka needs Java 17 or newer, and there is no java\. Install .* apt-get install openjdk-17/,
  )
})

test('without Maven it says what to install, the first time', async () => {
  const bin = join(scratch, 'bin')
  mkdirSync(bin)
  symlinkSync(javaInPath(), join(bin, 'java'))
  const cache = join(scratch, 'cache')
  const env = { PATH: bin, JAVA_HOME: '', XDG_CACHE_HOME: cache }
  const ended = await services(['kafka', 'up', '--directory', join(scratch, 'no-maven')], env)
  expect(ended.code).toBe(1)
  expect(ended.text).toMatch(/fetched once, by Maven, and there is no mvn in PATH\. Install it .*apt-get install maven/)
  expect(readdirSync(join(cache, 'sluice', 'kafka'))).toEqual([])
})

test.each([
  [['kafka', '--help'], 0, /Usage: npm run services -- kafka up\|down\|status/],
  [['--help'], 0, /Services: kafka/],
  [['kafka', 'sideways'], 2, /Usage/],
  [['kafka', 'up', '--fast'], 2, /Unknown option '--fast'/],
  [['kafka', 'up', '--port', 'x'], 2, /--port must be a number/],
  [['rabbit', 'up'], 2, /There is no service "rabbit"/],
  [[], 2, /Usage/],
])('%j ends with %i', async (argv, code, text) => {
  const ended = await services(argv)
  expect(ended.code).toBe(code)
  expect(ended.text).toMatch(text)
})
