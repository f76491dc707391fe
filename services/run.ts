/** `npm run services -- <service> up|down|status`: what tests, benchmarks and examples need beside Node, kept up while one develops. */
import { runKafkaCommand } from './kafka/command.ts'

const SERVICES: Readonly<Record<string, (argv: readonly string[]) => Promise<number>>> = { kafka: runKafkaCommand }

const USAGE = `Usage: npm run services -- <service> up|down|status [options]
       npm run services -- <service> --help
Services: ${Object.keys(SERVICES).join(', ')}
Tests, benchmarks and examples start what they need by themselves; this is for trying things by hand.`

const [name = '', ...argv] = process.argv.slice(2)
const run = SERVICES[name]
if (name === '--help' || name === '-h') {
  console.log(USAGE)
} else if (run === undefined) {
  console.error(name === '' ? USAGE : `There is no service "${name}".\n${USAGE}`)
  process.exitCode = 2
} else {
  process.exitCode = await run(argv)
}
