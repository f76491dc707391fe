/**
 * One JSON object a line: `time`, `level`, `message`, and the fields; for machines.
 */
import type { Logger } from '../api/index.ts'
import { isAtLeast, toJson, writeToStandardError, type LogLevel, type LogOptions } from './log-line.ts'

export function jsonLogger(options: LogOptions = {}): Logger {
  const { level: least = 'info', write = writeToStandardError, now = Date.now } = options
  const at =
    (level: LogLevel): Logger['info'] =>
    (message, fields) => {
      if (!isAtLeast(level, least)) return
      // Ours last: a field cannot pass for the level or the message of a line.
      write(`${toJson({ ...fields, time: new Date(now()).toISOString(), level, message })}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
