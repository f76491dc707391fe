/** The configuration of a broker of one node that is its own controller: quick to start, small, and strict where production is. */

export interface Listeners {
  readonly port: number
  readonly controllerPort: number
  /** Clients that connect to `port` are sent to this one, where a proxy listens; those of `direct.port` are not. */
  readonly advertised?: { readonly port: number; readonly directPort: number }
}

export const HOST = '127.0.0.1'

/** A later line wins: `settings` overrides everything. */
export function serverProperties(
  listeners: Listeners,
  dataDirectory: string,
  settings: Readonly<Record<string, string>>,
): string {
  const all = { ...networkOf(listeners), 'log.dirs': dataDirectory, ...DEFAULTS, ...settings }
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

function networkOf({ port, controllerPort, advertised }: Listeners): Readonly<Record<string, string>> {
  const direct = advertised === undefined ? '' : `,DIRECT://${HOST}:${advertised.directPort}`
  const controller = `CONTROLLER://${HOST}:${controllerPort}`
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `PLAINTEXT://${HOST}:${port}${direct},${controller}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${advertised?.port ?? port}${direct},${controller}`,
    'controller.quorum.bootstrap.servers': `${HOST}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': advertised === undefined ? 'PLAINTEXT' : 'DIRECT',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT',
  }
}

const DEFAULTS = {
  // Internal topics of one replica and one partition: their first use is quick.
  'offsets.topic.num.partitions': '1',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.num.partitions': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'share.coordinator.state.topic.num.partitions': '1',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  // Records are written with whatever time; by default those of the year before are gone half a minute after the broker began.
  'log.retention.ms': '-1',
  // Who needs a topic creates it.
  'auto.create.topics.enable': 'false',
  'group.initial.rebalance.delay.ms': '0',
  // Looked for every 10 s by default; tests of timeouts need not wait for that. All else about transactions is as in production.
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': '200',
  'transaction.remove.expired.transaction.cleanup.interval.ms': '1000',
  // A killed broker that comes back waits until its old session has ended: 9 s by default, though nobody else is there.
  'broker.session.timeout.ms': '1500',
  'broker.heartbeat.interval.ms': '250',
  // A small machine.
  'num.network.threads': '2',
  'num.io.threads': '4',
  'num.recovery.threads.per.data.dir': '1',
  'background.threads': '2',
  'log.cleaner.dedupe.buffer.size': '2097152',
}
