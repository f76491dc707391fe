/**
 * One line a message, `12:34:56.789 WARN  message  field=value`, a stack trace below it if a field is an error; for people.
 */
import type { Logger } from '../api/index.ts'
import { isAtLeast, toJson, writeToStandardError, type LogLevel, type LogOptions } from './log-line.ts'

export function textLogger(options: LogOptions = {}): Logger {
  const { level: least = 'info', write = writeToStandardError, now = Date.now } = options
  const at =
    (level: LogLevel): Logger['info'] =>
    (message, fields = {}) => {
      if (!isAtLeast(level, least)) return
      const time = new Date(now()).toISOString().slice(11, 23)
      const shown = Object.entries(fields).map(([name, field]) => `  ${name}=${shortly(field)}`)
      const stacks = Object.values(fields).flatMap((field) =>
        level !== 'info' && field instanceof Error && field.stack !== undefined ? [`${field.stack}\n`] : [],
      )
      write(`${time} ${level.toUpperCase().padEnd(5)} ${message}${shown.join('')}\n${stacks.join('')}`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function shortly(field: unknown): string {
  if (field instanceof Error) return `${field.name}: ${field.message}`
  return typeof field === 'string' && /^[^\s"=]+$/.test(field) ? field : toJson(field)
}
