/** `node test/clients/kafka/vectors/generate.main.ts` writes the golden vectors anew, by Kafka's own Java client (needs a JDK). */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { installKafka } from '../../../../services/kafka/installation.ts'

const directory = fileURLToPath(new URL('.', import.meta.url))
const { java, classPath } = await installKafka(console.log)
const { status } = spawnSync(java, ['-cp', classPath, `${directory}GoldenVectors.java`, directory], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1
