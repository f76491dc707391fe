/** Seeded mistakes of a file source and a file sink (KILLS_MISTAKE), which the checks of the kill tests must find. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Sink, Source } from 'sluice'
import type { FilePart, OpenPart } from 'sluice/sinks/file'
import type { FilePosition, FileSplit } from 'sluice/sources/file'

export const FILE_MISTAKES = [
  'parts that stay open are not restored',
  'from the first bad line on positions are a batch behind',
  'only files that are newer than the process are new',
] as const

export type FileMistake = (typeof FILE_MISTAKES)[number]

const mistake = process.env['KILLS_MISTAKE'] as FileMistake | undefined
const startedAtMs = Date.now()

export function mistakenFileSink<In>(sound: Sink<In, FilePart, OpenPart>): Sink<In, FilePart, OpenPart> {
  if (mistake !== 'parts that stay open are not restored') return sound
  return { ...sound, createWriter: (context) => sound.createWriter(context, []) }
}

type Files<T> = Source<T, FileSplit, FilePosition>

export function mistakenFileSource<T>(sound: Files<T>): Files<T> {
  switch (mistake) {
    case 'from the first bad line on positions are a batch behind':
      return behindBadLines(sound)
    case 'only files that are newer than the process are new':
      return {
        ...sound,
        discover: async (context, known) => {
          const found = await sound.discover(context, known)
          const ids = new Set(known.map(({ id }) => id))
          const isNew = (id: string): boolean => statSync(join(context.baseDirectory, id)).birthtimeMs > startedAtMs
          return context.isFirst ? found : found.filter(({ split: { id } }) => ids.has(id) || isNew(id))
        },
      }
    case 'parts that stay open are not restored':
    case undefined:
      return sound
    default:
      return mistake satisfies never
  }
}

function behindBadLines<T>(sound: Files<T>): Files<T> {
  return {
    ...sound,
    createReader: async (context) => {
      const reader = await sound.createReader(context)
      const before = new Map<string, FilePosition>()
      const isBehind = new Set<string>()
      return {
        assign: (splits) => {
          for (const { split, position } of splits) before.set(split.id, position)
          return reader.assign(splits)
        },
        poll: async (signal) => {
          const polled = await reader.poll(signal)
          if (polled.kind !== 'records') return polled
          const last = before.get(polled.split.id) ?? polled.after
          before.set(polled.split.id, polled.after)
          if (polled.records.sides !== undefined) isBehind.add(polled.split.id)
          return isBehind.has(polled.split.id) ? { ...polled, after: last } : polled
        },
        [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
      }
    },
  }
}
