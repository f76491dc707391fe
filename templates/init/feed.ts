/**
 * Payments as they come in: `npm run feed -- 200` appends 200 to data/payments.ndjson, twenty a second. Of two that run at a time each
 * counts from what it found.
 */
import { appendFile, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const FILE = 'data/payments.ndjson'
const PER_SECOND = 20
const ACCOUNTS = ['anna', 'ben', 'chen', 'dora', 'emil']

const count = Number(process.argv[2] ?? 200)
const first = (await readFile(FILE, 'utf8')).split('\n').length - 1
for (let number = first; number < first + count; number += 1) {
  const account = ACCOUNTS[(number * 7) % ACCOUNTS.length]
  const cents = ((number * 7_919) % 20_000) - 9_000
  await appendFile(FILE, `${JSON.stringify({ account, cents })}\n`)
  await sleep(1_000 / PER_SECOND)
}
console.log(`${count} payments more in ${FILE}`)
