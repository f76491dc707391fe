/**
 * `npm run bench -- kafka [--quick]`: Kafka's records in memory, ours against kafkajs in the same process. The last line is JSON: records a
 * second of CPU time of the main thread, so that a busy machine does not count, and ratios.
 */
import { rounded } from './core/figures.ts'
import { codecFigures, type CodecFigures } from './kafka/codec.ts'

const isQuick = process.argv.includes('--quick')
const ROUNDS = isQuick ? 3 : 9

const ratios: Record<string, number> = {}
const details: Record<string, CodecFigures> = {}
for (const recordBytes of [100, 1_000]) {
  const figures = await codecFigures(recordBytes, ROUNDS)
  const name = recordBytes === 100 ? '100B' : '1KB'
  details[name] = figures
  ratios[`decode${name}`] = rounded(figures.decode / figures.kafkajsDecode)
  ratios[`encode${name}`] = rounded(figures.encode / figures.kafkajsEncode)
  console.error(name, JSON.stringify(figures))
}
console.log(JSON.stringify({ bench: 'kafka', ratios, verified: true, quick: isQuick, ...details }))
