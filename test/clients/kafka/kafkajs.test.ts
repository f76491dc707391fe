/** What is internal to kafkajs is looked at when it is loaded: with another one a clear error, not a surprise. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { openTransport } from '../../../clients/kafka/kafkajs.ts'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-kafkajs-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))
const transport = fileURLToPath(new URL('../../../clients/kafka/kafkajs.ts', import.meta.url))

const symbol = "Symbol('private:Kafka:createCluster')"

/** Opens a transport in a process for which this is kafkajs. @returns what it fails with */
function openWith(name: string, version: string, constructor: string): string {
  const fake = join(scratch, name)
  mkdirSync(fake)
  writeFileSync(join(fake, 'package.json'), JSON.stringify({ version }))
  writeFileSync(
    join(fake, 'index.cjs'),
    `exports.logLevel = {}; exports.Kafka = class { constructor() { ${constructor} } }`,
  )
  const main = join(fake, 'main.mjs')
  const [index, description] = ['index.cjs', 'package.json'].map((file) => pathToFileURL(join(fake, file)).href)
  writeFileSync(
    main,
    `import { registerHooks } from 'node:module'
    const ours = { kafkajs: ${JSON.stringify(index)}, 'kafkajs/package.json': ${JSON.stringify(description)} }
    const format = (name) => (name === 'kafkajs' ? 'commonjs' : 'json')
    registerHooks({
      resolve: (name, context, next) =>
        ours[name] === undefined ? next(name, context) : { url: ours[name], format: format(name), shortCircuit: true },
    })
    const { openTransport } = await import(${JSON.stringify(pathToFileURL(transport).href)})
    await openTransport({ brokers: [] }).catch((error) => console.log(error.name, error.code, error.message))`,
  )
  const { stdout, stderr } = spawnSync(process.execPath, [main], { encoding: 'utf8' })
  return stdout === '' ? stderr : stdout.trim()
}

test.each([
  ['version 2.3.0', '2.3.0', ''],
  ['private:Kafka:createCluster', '2.2.4', ''],
  ['private:Kafka:createCluster', '2.2.4', `this[${symbol}] = {}`],
  ['cluster.connectionPoolBuilder.build', '2.2.4', `this[${symbol}] = () => ({})`],
  [
    'cluster.brokerPool.createBroker',
    '2.2.4',
    `this[${symbol}] = () => ({ connectionPoolBuilder: { build() {} }, brokerPool: {} })`,
  ],
])('a kafkajs that differs in %s is refused (%#)', (what, version, constructor) => {
  expect(openWith(`${version}-${constructor.length}`, version, constructor)).toBe(
    `TerminalError SLUICE_KAFKA_LIBRARY the kafkajs that was loaded is not the one that this is made for: ${what}. ` +
      `Install kafkajs 2.2.4 exactly`,
  )
})

test('the one that is installed is taken', async () => {
  const opened = await openTransport({ brokers: ['127.0.0.1:1'] })
  expect((await opened.openSeed()).address).toEqual({ host: '127.0.0.1', port: 1 })
})

test('a configuration that cannot work is a terminal error', async () => {
  const opened = await openTransport({ brokers: [] })
  await expect(opened.openSeed()).rejects.toMatchObject({
    name: 'TerminalError',
    code: 'SLUICE_KAFKA_CONFIGURATION',
    message: expect.stringContaining('brokers array is empty'),
  })
})
