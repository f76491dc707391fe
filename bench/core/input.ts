/** NDJSON of about 100 bytes a record with keys in random order, alike in every run. */
import { closeSync, openSync, writeSync } from 'node:fs'

export function writeInput(path: string, records: number, keys: number): void {
  const out = openSync(path, 'w')
  let lines: string[] = []
  for (let index = 0; index < records; index += 1) {
    const pad = [3, 4, 5].map((salt) => hash(index, salt).toString(16).padStart(8, '0')).join('')
    const key = `k${String(hash(index, 1) % keys).padStart(7, '0')}`
    lines.push(
      `{"id":${index},"key":"${key}","amount":${hash(index, 2) % 10_000},"ts":${1_700_000_000_000 + index},"pad":"${pad}"}\n`,
    )
    if (lines.length < 10_000 && index < records - 1) continue
    writeSync(out, lines.join(''))
    lines = []
  }
  closeSync(out)
}

/** lowbias32 of index and salt; unsigned. */
export function hash(index: number, salt: number): number {
  let x = (index + Math.imul(salt, 0x9e3779b9)) | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
