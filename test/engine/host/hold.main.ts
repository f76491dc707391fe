/** A process that holds a job: prints its identity and waits to be stopped or killed. */
import { createHolder } from '../../../engine/host/holder.ts'

const { identity } = await createHolder()
process.send?.(identity)
process.on('message', () => undefined)
