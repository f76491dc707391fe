/** How a running process is asked: over its socket where that can be reached, or through the checkpoint store alone. */
import { TerminalError } from '../../engine/api/index.ts'

export type ControlWay = 'socket' | 'store'

/** SLUICE_CONTROL=store: as from another machine. @throws TerminalError for what it cannot be */
export function controlWay(): ControlWay {
  const given = process.env['SLUICE_CONTROL'] ?? 'socket'
  if (given === 'socket' || given === '') return 'socket'
  if (given === 'store') return 'store'
  throw new TerminalError(`SLUICE_CONTROL=${given}: leave it out, or set it to "store" to do without sockets`, {
    code: 'SLUICE_USAGE',
  })
}
