/**
 * A worker of `sluice run --workers`: started by the command, never by hand. Signals that reach a whole process group (a Ctrl-C) are for
 * the command, which stops its workers when their work is done.
 */
import { importOurs } from './ourselves.mjs'

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined)

const { work } = await importOurs('worker')
work()
