/** Starts a broker, says so, and waits to be killed. */
import { KafkaBroker } from '../../services/kafka/broker.ts'

const { pid, directory } = await KafkaBroker.start()
process.stdout.write(JSON.stringify({ pid, directory }))
setInterval(() => undefined, 1_000)
