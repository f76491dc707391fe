/**
 * `npm run bench -- kafka [--only=codec|fetch|produce] [--quick]`: ours against kafkajs in the same process. Records in memory (codec): records
 * a second of CPU time of the main thread, so that a busy machine does not count. From a real broker (fetch) and to one (produce): by the wall
 * clock and by CPU time. The last line is JSON, with ratios.
 */
import { rounded } from './core/figures.ts'
import { codecFigures, type CodecFigures } from './kafka/codec.ts'
import { fetchFigures, type FetchFigures } from './kafka/fetch.ts'
import { produceFigures, type ProduceFigures } from './kafka/produce.ts'

const isQuick = process.argv.includes('--quick')
const only = process.argv.find((one) => one.startsWith('--only='))?.slice('--only='.length)
const ROUNDS = isQuick ? 3 : 9

const ratios: Record<string, number> = {}
const details: Record<string, CodecFigures | FetchFigures | ProduceFigures> = {}
if (only === undefined || only === 'codec') {
  for (const recordBytes of [100, 1_000]) {
    const figures = await codecFigures(recordBytes, ROUNDS)
    const name = recordBytes === 100 ? '100B' : '1KB'
    details[name] = figures
    ratios[`decode${name}`] = rounded(figures.decode / figures.kafkajsDecode)
    ratios[`encode${name}`] = rounded(figures.encode / figures.kafkajsEncode)
    console.error(name, JSON.stringify(figures))
  }
}
for (const [what, measure] of [
  ['fetch', fetchFigures],
  ['produce', produceFigures],
] as const) {
  if (only !== undefined && only !== what) continue
  for (const [name, figures] of Object.entries(await measure(isQuick))) {
    details[`${what}${name}`] = figures
    ratios[`${what}${name}`] = figures.wallRatio
    ratios[`${what}Cpu${name}`] = figures.cpuRatio
    console.error(`${what} ${name}`, JSON.stringify(figures))
  }
}
console.log(JSON.stringify({ bench: 'kafka', ratios, verified: true, quick: isQuick, ...details }))
