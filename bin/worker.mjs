/**
 * A worker of `sluice run --workers`: started by the command, never by hand. Signals that reach a whole process group (a Ctrl-C) are for
 * the command, which stops its workers when their work is done.
 *
 * It ends with the command, however that ended. The loop of the main thread sees the connection close; a thread of its own sees it too where
 * code of the job holds that loop.
 */
import { Worker } from 'node:worker_threads'
import { importOurs } from './ourselves.mjs'

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined)

const LOOK_MS = 250
const watch = `setInterval(() => {
  if (process.ppid !== ${process.ppid}) process.kill(process.pid, 'SIGKILL')
}, ${LOOK_MS})`
new Worker(watch, { eval: true, execArgv: [], env: {} }).unref()

const { work } = await importOurs('worker')
work()
