/** One contender of a race between processes: opens the disk store, says so, and creates the key when told to. */
import { diskStore } from '../../checkpoint-store/disk.ts'

const [directory = '', key = ''] = process.argv.slice(2)
const store = await diskStore({ directory })
process.once('message', () => {
  void store
    .create(key, new TextEncoder().encode(String(process.pid)))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
})
process.send?.('ready')
