/** A child process that looks at its share of the random lives and prints how much it has seen, or the plan that fails. */
import { checkPlans } from './random-plans.ts'

const [part = '1', parts = '1'] = process.argv.slice(2)
try {
  console.log(JSON.stringify(await checkPlans(Number(part), Number(parts))))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
