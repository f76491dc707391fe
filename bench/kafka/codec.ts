/**
 * Records in memory: batches of one mebibyte decoded and encoded by our codec and by that of kafkajs, on the same bytes, in turns. Both sides
 * look at every key and value, as who reads records does; kafkajs checks no checksum.
 */
import { createRequire } from 'node:module'
import { crc32cInJavaScript } from '../../clients/kafka/crc32c.ts'
import { readBatches } from '../../clients/kafka/wire/record-batch.ts'
import { NO_PRODUCER, RecordBatchWriter } from '../../clients/kafka/wire/record-batch-writer.ts'
import { RecordColumns } from '../../clients/kafka/wire/record-columns.ts'
import { median, rounded } from '../core/figures.ts'

export interface CodecFigures {
  /** Records a second of CPU. */
  readonly decode: number
  readonly decodeUnchecked: number
  readonly kafkajsDecode: number
  readonly encode: number
  readonly kafkajsEncode: number
  /** Checksum in JavaScript, where the native one is not there: gigabytes a second. */
  readonly checksumInJavaScript: number
}

interface Message {
  readonly offset: string
  readonly key: Buffer | null
  readonly value: Buffer | null
}

interface Kafkajs {
  readonly Decoder: new (bytes: Buffer) => unknown
  readonly decodeBatch: (decoder: unknown) => Promise<{ readonly records: readonly Message[] }>
  readonly encodeRecord: (record: Readonly<Record<string, unknown>>) => unknown
  readonly encodeBatch: (batch: Readonly<Record<string, unknown>>) => Promise<{ readonly buffer: Buffer }>
}

const BATCH_BYTES = 1024 * 1024
/** Some systems count CPU time in steps of ten milliseconds. */
const MEASURED_US = 100_000
const TIME = 1_700_000_000_000

export async function codecFigures(recordBytes: number, rounds: number): Promise<CodecFigures> {
  const library = loadKafkajs()
  const count = Math.floor(BATCH_BYTES / recordBytes)
  const content = Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`key-${String(index).padStart(8, '0')}`),
    value: Buffer.alloc(recordBytes - 20, `value ${index} `),
    timestamp: TIME + index,
  }))
  const batch = encoded(content)
  const times: Record<keyof CodecFigures, number[]> = {
    decode: [],
    decodeUnchecked: [],
    kafkajsDecode: [],
    encode: [],
    kafkajsEncode: [],
    checksumInJavaScript: [],
  }
  const right = decoded(batch, true)
  const note = async (name: keyof CodecFigures, run: () => number | Promise<number>): Promise<void> => {
    const start = process.threadCpuUsage()
    let turns = 0
    let spent = 0
    while (spent < MEASURED_US) {
      const result = await run()
      if (result !== right) throw new Error(`${name}: ${result} is not ${right}`)
      turns += 1
      const { user, system } = process.threadCpuUsage(start)
      spent = user + system
    }
    times[name].push(spent / turns)
  }
  for (let round = 0; round < rounds; round += 1) {
    await note('decode', () => decoded(batch, true))
    await note('kafkajsDecode', async () => await decodedByKafkajs(library, batch))
    await note('decodeUnchecked', () => decoded(batch, false))
    await note('encode', () => (encoded(content).equals(batch) ? right : 0))
    await note('kafkajsEncode', async () => ((await encodedByKafkajs(library, content)).length > 0 ? right : 0))
    await note('checksumInJavaScript', () => (crc32cInJavaScript(batch) === 0 ? 0 : right))
  }
  const perSecond = (name: keyof CodecFigures): number => Math.round((count / median(times[name])) * 1e6)
  return {
    decode: perSecond('decode'),
    decodeUnchecked: perSecond('decodeUnchecked'),
    kafkajsDecode: perSecond('kafkajsDecode'),
    encode: perSecond('encode'),
    kafkajsEncode: perSecond('kafkajsEncode'),
    checksumInJavaScript: rounded(batch.length / median(times.checksumInJavaScript) / 1_000),
  }
}

const columns = new RecordColumns()

function decoded(bytes: Buffer, checksCrc: boolean): number {
  let sum = 0
  for (const batch of readBatches(bytes, { checksCrc })) {
    columns.fill(batch)
    const { keyStarts, keyLengths, valueStarts, valueLengths, bytes: content } = columns
    for (let index = 0; index < columns.count; index += 1) {
      sum += (keyLengths[index] ?? 0) + (valueLengths[index] ?? 0)
      sum += (content[keyStarts[index] ?? 0] ?? 0) + (content[valueStarts[index] ?? 0] ?? 0)
    }
  }
  return sum
}

async function decodedByKafkajs({ Decoder, decodeBatch }: Kafkajs, bytes: Buffer): Promise<number> {
  let sum = 0
  const { records } = await decodeBatch(new Decoder(bytes))
  for (const { key, value } of records) {
    if (key !== null) sum += key.length + (key[0] ?? 0)
    if (value !== null) sum += value.length + (value[0] ?? 0)
  }
  return sum
}

interface Content {
  readonly key: Buffer
  readonly value: Buffer
  readonly timestamp: number
}

const writer = new RecordBatchWriter()

function encoded(content: readonly Content[]): Buffer {
  for (const record of content) writer.append(record)
  return writer.finish(NO_PRODUCER)
}

async function encodedByKafkajs({ encodeRecord, encodeBatch }: Kafkajs, content: readonly Content[]): Promise<Buffer> {
  const records = content.map(({ key, value, timestamp }, offsetDelta) =>
    encodeRecord({ key, value, offsetDelta, timestampDelta: timestamp - TIME }),
  )
  const batch = await encodeBatch({
    records,
    firstTimestamp: TIME,
    maxTimestamp: TIME + content.length - 1,
    lastOffsetDelta: content.length - 1,
  })
  return batch.buffer
}

/** Its insides: no part of what the engine uses. */
function loadKafkajs(): Kafkajs {
  const require = createRequire(import.meta.url)
  const load = (path: string): unknown => require(`kafkajs/src/protocol/${path}`)
  return {
    Decoder: load('decoder') as Kafkajs['Decoder'],
    decodeBatch: load('recordBatch/v0/decoder') as Kafkajs['decodeBatch'],
    encodeRecord: load('recordBatch/record/v0') as Kafkajs['encodeRecord'],
    encodeBatch: (load('recordBatch/v0') as { RecordBatch: Kafkajs['encodeBatch'] }).RecordBatch,
  }
}
