/**
 * Seeded mistakes of the job under test (KILLS_MISTAKE), which the checks of the kill tests must find: each is one that an engine, a sink
 * or a source could make.
 */
import { rename, unlink } from 'node:fs'
import { join } from 'node:path'
import type { Committer, Sink, SinkWriter } from 'sluice'
import type { FilePart } from 'sluice/sinks/file'
import { hiddenPart, keptLink } from '../../sinks/file/committable.ts'
import type { PacedSource } from './paced-source.ts'

export const MISTAKES = [
  'commit before completion',
  'abort instead of commit at recovery',
  'no commit at recovery',
  'leftovers not aborted',
  'swallowed commit error',
  'evidence pruned too early',
  'names without the generation',
  'sweep by list',
  'position off by one',
  'positions asked from the reader',
] as const

export type Mistake = (typeof MISTAKES)[number]

const mistake = process.env['KILLS_MISTAKE'] as Mistake | undefined

export function mistakenSink<In, W>(sound: Sink<In, FilePart, W>): Sink<In, FilePart, W> {
  if (mistake === undefined) return sound
  return {
    ...sound,
    createWriter: async (context, restored) => {
      const given =
        mistake === 'names without the generation'
          ? { ...context, nextName: () => context.nextName().replace(/--\d{8}--/, '--00000001--') }
          : context
      const writer = await sound.createWriter(given, restored)
      return mistake === 'commit before completion' ? over(writer, early(writer)) : writer
    },
    createCommitter: async (context) => {
      const committer = await sound.createCommitter(context)
      return over(committer, mistakenCommitter(committer, context.generation))
    },
  }
}

function early<In, W>(writer: SinkWriter<In, FilePart, W>): Partial<SinkWriter<In, FilePart, W>> {
  return {
    prepareCommit: async (epoch) => {
      const parts = await writer.prepareCommit(epoch)
      for (const part of parts) await renamed(join(part.directory, hiddenPart(part.name)), visibleOf(part))
      return parts
    },
  }
}

function mistakenCommitter<W>(sound: Committer<FilePart, W>, generation: number): Partial<Committer<FilePart, W>> {
  switch (mistake) {
    case 'abort instead of commit at recovery':
    case 'no commit at recovery':
      return {
        commit: async (permit, requests) => {
          if (requests.every(({ id }) => id.generation === generation)) return sound.commit(permit, requests)
          for (const { committable } of requests) {
            if (mistake === 'no commit at recovery') break
            await removed(join(committable.directory, hiddenPart(committable.name)))
          }
          return requests.map(() => ({ kind: 'committed' }))
        },
      }
    case 'leftovers not aborted':
      return { abortStale: () => Promise.resolve({ aborted: 0, clean: true }) }
    case 'swallowed commit error':
      return {
        commit: async (permit, requests) =>
          (await sound.commit(permit, requests)).map((outcome) =>
            outcome.kind === 'retry' || outcome.kind === 'unknown' ? { kind: 'committed' } : outcome,
          ),
      }
    case 'evidence pruned too early':
      return {
        commit: async (permit, requests) => {
          const outcomes = await sound.commit(permit, requests)
          for (const { committable } of requests) {
            await removed(join(committable.directory, keptLink(committable.name)))
          }
          return outcomes
        },
      }
    case 'sweep by list':
      return { abortStale: (permit, stale) => sound.abortStale(permit, { ...stale, isStale: () => true, keep: [] }) }
    case 'commit before completion':
    case 'names without the generation':
    case 'position off by one':
    case 'positions asked from the reader':
    case undefined:
      return {}
    default:
      return mistake satisfies never
  }
}

export function mistakenSource(sound: PacedSource): PacedSource {
  if (mistake !== 'position off by one' && mistake !== 'positions asked from the reader') return sound
  return {
    ...sound,
    createReader: async (context) => {
      const reader = await sound.createReader(context)
      let ahead: number | undefined
      return over(reader, {
        poll: async (signal) => {
          const polled = await reader.poll(signal)
          if (polled.kind !== 'records') return polled
          if (mistake === 'position off by one') return { ...polled, after: polled.after - 1 }
          // What the reader has read when somebody asks, not what was pushed: a batch more.
          ahead = polled.after + polled.records.values.length
          return { ...polled, after: ahead }
        },
      })
    },
  }
}

/** These go by callbacks, which strikes see. */
function renamed(from: string, to: string): Promise<void> {
  return new Promise((resolve) => {
    rename(from, to, () => resolve())
  })
}

function removed(path: string): Promise<void> {
  return new Promise((resolve) => {
    unlink(path, () => resolve())
  })
}

function visibleOf(part: FilePart): string {
  return join(part.directory, part.visible)
}

/** The sound one with some of its methods replaced; a copy would lose those of its class. */
function over<Sound extends object>(sound: Sound, replaced: Partial<Sound>): Sound {
  return new Proxy(sound, {
    get: (target, key) => {
      const found: unknown = Reflect.get(key in replaced ? replaced : target, key)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
}
