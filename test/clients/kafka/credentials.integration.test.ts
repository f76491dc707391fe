/** TLS and SASL are kafkajs' part; here they carry our requests, on both connections to a broker. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { KafkaConfig } from 'kafkajs'
import { KafkaClient } from '../../../clients/kafka/client.ts'
import { KafkaBroker } from '../../../services/kafka/broker.ts'
import { installKafka } from '../../../services/kafka/installation.ts'
import { append, createTopic, end, fetchOnce, records, settledState, TestProducer } from './transactions.ts'

const PASSWORD = 'changeit'
const scratch = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
const keystore = join(scratch, 'broker.p12')

let broker: KafkaBroker
let ca = ''
beforeAll(async () => {
  const keytool = join(dirname((await installKafka()).java), 'keytool')
  const store = ['-keystore', keystore, '-storepass', PASSWORD, '-alias', 'broker']
  const names = ['-dname', 'CN=localhost', '-ext', 'SAN=IP:127.0.0.1,DNS:localhost']
  execFileSync(
    keytool,
    ['-genkeypair', '-keyalg', 'EC', '-validity', '30', '-storetype', 'PKCS12', ...names, ...store],
    {
      stdio: 'ignore',
    },
  )
  ca = execFileSync(keytool, ['-exportcert', '-rfc', ...store], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const users = 'username="broker" password="inside" user_broker="inside" user_sluice="secret"'
  broker = await KafkaBroker.start({
    settings: {
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_SSL',
      'sasl.enabled.mechanisms': 'PLAIN',
      'sasl.mechanism.inter.broker.protocol': 'PLAIN',
      'listener.name.plaintext.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${users};`,
      'ssl.keystore.type': 'PKCS12',
      'ssl.keystore.location': keystore,
      'ssl.keystore.password': PASSWORD,
      'ssl.truststore.type': 'PKCS12',
      'ssl.truststore.location': keystore,
      'ssl.truststore.password': PASSWORD,
    },
  })
})
afterAll(async () => {
  await broker[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

function config(password: string): KafkaConfig {
  return {
    brokers: [broker.address],
    ssl: { ca: [ca] },
    sasl: { mechanism: 'plain', username: 'sluice', password },
    connectionTimeout: 30_000,
  }
}

test('records and transactions go through TLS and SASL', async () => {
  await using client = await KafkaClient.open(config('secret'))
  await createTopic(client, 'secured')
  await append(client, { topic: 'secured', records: records('one') })
  const producer = await TestProducer.init(client, 'secured-id')
  await producer.write('secured', records('two'))
  expect((await end(client, producer.handle, { commits: true, version: 4 })).errorCode).toBe(0)
  await settledState(client, 'secured-id')
  const { batches } = await fetchOnce(client, 'secured', { offset: 0 })
  expect(batches.filter(({ isControl }) => !isControl).map(({ recordCount }) => recordCount)).toEqual([1, 1])
})

test('a wrong password is a terminal error that says where to look, and holds no password', async () => {
  await using client = await KafkaClient.open(config('a wrong one'))
  const asked = client.metadata([])
  await expect(asked).rejects.toMatchObject({ name: 'TerminalError', code: 'SLUICE_KAFKA_CREDENTIALS' })
  await expect(asked).rejects.toThrow(/^127\.0\.0\.1:\d+ refuses the credentials: .*Look at `sasl`/)
  await expect(asked).rejects.not.toThrow(/a wrong one/)
})

test('a certificate that nobody vouches for, and no TLS at all, are errors', async () => {
  await using distrusting = await KafkaClient.open({ ...config('secret'), ssl: true })
  await expect(distrusting.metadata([])).rejects.toThrow(/self.signed certificate/)
  await using plain = await KafkaClient.open({ brokers: [broker.address], requestTimeout: 1_000 })
  await expect(plain.metadata([])).rejects.toMatchObject({ code: 'SLUICE_KAFKA_UNREACHABLE' })
})
