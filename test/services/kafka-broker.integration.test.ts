/** The broker that tests stand on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaBroker } from '../../services/kafka/broker.ts'
import { consumeCommitted, runTool } from '../../services/kafka/java-tools.ts'
import { isAlive } from '../../services/kafka/process-lock.ts'
import { sharedKafka } from './kafka.ts'

/** Several JVMs, on a machine that may do much else. */
const SLOW = { timeout: 180_000 }

async function answers(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':')
  return await new Promise((resolve) => {
    const socket = connect(Number(port), host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

test('files of one run share one broker', SLOW, async () => {
  const address = await sharedKafka()
  expect(await sharedKafka()).toBe(address)
  expect(await answers(address)).toBe(true)
})

describe('a broker of one test', () => {
  let broker: KafkaBroker
  beforeAll(async () => {
    broker = await KafkaBroker.start()
  })
  afterAll(async () => {
    await broker[Symbol.asyncDispose]()
  })

  test('keeps its topics and records through a kill', SLOW, async () => {
    const to = ['--bootstrap-server', broker.address, '--topic', 'kept']
    await runTool(broker.installation, 'org.apache.kafka.tools.TopicCommand', ['--create', ...to])
    await runTool(broker.installation, 'org.apache.kafka.tools.ProducerPerformance', [
      ...to,
      '--num-records',
      '5',
      '--record-size',
      '10',
      '--throughput',
      '-1',
    ])
    const { address, pid = 0 } = broker
    await broker.kill()
    expect(isAlive(pid)).toBe(false)
    expect(await answers(address)).toBe(false)
    await broker.restart()
    expect(broker.address).toBe(address)
    const records = await consumeCommitted({
      installation: broker.installation,
      address,
      topic: 'kept',
      expectedRecords: 5,
    })
    expect(records.map((record) => record.offset)).toEqual([0, 1, 2, 3, 4])
  })

  test('says what its log says when it cannot start, and keeps the log', SLOW, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-broken-'))
    const started = KafkaBroker.start({ directory, settings: { 'log.segment.bytes': '1' } })
    await expect(started).rejects.toThrow(/did not start[\s\S]*log\.segment\.bytes/)
    expect(readFileSync(join(directory, 'kafka.log'), 'utf8')).toContain('log.segment.bytes')
    rmSync(directory, { recursive: true })
  })

  test('ends with the process that started it, however that one ends', SLOW, async () => {
    const main = fileURLToPath(new URL('start-kafka.main.ts', import.meta.url))
    const child = spawn(process.execPath, [...process.execArgv, main], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { pid, directory } = JSON.parse(line.toString()) as { pid: number; directory: string }
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 30_000 }).toBe(false)
    rmSync(directory, { recursive: true })
  })

  test('is gone with its directory when it is disposed of', async () => {
    const { pid = 0, directory } = broker
    expect(isAlive(pid)).toBe(true)
    await broker[Symbol.asyncDispose]()
    expect(isAlive(pid)).toBe(false)
    expect(existsSync(directory)).toBe(false)
  })
})
