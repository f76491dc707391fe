/**
 * `npm run bench -- kafka [--only=codec|produce|fetch] [--quick]`: ours against kafkajs in the same process. Records in memory (codec):
 * records a second of CPU time of the main thread, so that a busy machine does not count. To and from a real broker (produce, fetch): by the
 * wall clock and by CPU time. The last line is JSON, with ratios.
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
if (only === undefined || only === 'produce') {
  for (const [name, figures] of Object.entries(await produceFigures(isQuick))) {
    details[`produce${name}`] = figures
    ratios[`produce${name}`] = figures.wallRatio
    ratios[`produceCpu${name}`] = figures.cpuRatio
    console.error(`produce ${name}`, JSON.stringify(figures))
  }
}
if (only === undefined || only === 'fetch') {
  for (const [name, figures] of Object.entries(await fetchFigures(isQuick))) {
    details[`fetch${name}`] = figures
    ratios[`fetch${name}`] = figures.wallRatio
    ratios[`fetchCpu${name}`] = figures.cpuRatio
    console.error(`fetch ${name}`, JSON.stringify(figures))
  }
}
console.log(JSON.stringify({ bench: 'kafka', ratios, verified: true, quick: isQuick, ...details }))
