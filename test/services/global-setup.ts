/**
 * Runs in the process of the test runner: services that test files share are started when the first one asks, once per run, and ended with
 * it. A run of files that need none starts none.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { messageOf } from '../../engine/api/index.ts'
import { KafkaBroker } from '../../services/kafka/broker.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where `GET /kafka` answers with the address of the shared broker, or with why there is none. */
    readonly servicesUrl: string
  }
}

let kafka: Promise<KafkaBroker> | undefined
let server: Server | undefined

export async function setup(project: TestProject): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server = createServer((request, response) => {
    const answer = request.url === '/kafka' ? kafkaAddress() : Promise.reject(new Error(`no service ${request.url}`))
    answer.then(
      (address) => response.end(address),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    )
  })
  server.listen(0, '127.0.0.1', resolve)
  await promise
  const { port } = server.address() as AddressInfo
  project.provide('servicesUrl', `http://127.0.0.1:${port}`)
}

export async function teardown(): Promise<void> {
  server?.close()
  server?.closeAllConnections()
  const broker = await kafka?.catch(() => undefined)
  await broker?.[Symbol.asyncDispose]()
}

async function kafkaAddress(): Promise<string> {
  kafka ??= KafkaBroker.start({ say: (line) => process.stderr.write(`${line}\n`) })
  return (await kafka).address
}
