/** File sinks with one seeded mistake each, and the check of the conformance suite that must find it: a suite that never failed proves nothing. */
import { copyFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Committer, SinkWriter, WriterContext } from '../../engine/api/index.ts'
import { hiddenPart, keptLink } from '../../sinks/file/committable.ts'
import type { FilePart, OpenPart } from '../../sinks/file/sink.ts'
import { sinkChecks } from '../conformance/sink.ts'
import { fileEnvironment, type FileEnvironment, type Numbered } from './file/file-environment.ts'

type Writer = SinkWriter<Numbered, FilePart, OpenPart>
type FileCommitter = Committer<FilePart, OpenPart>

interface Mutant {
  /** A check with such a name must fail. */
  readonly finds: RegExp
  readonly context?: (context: WriterContext) => WriterContext
  readonly writer?: (sound: Writer) => Partial<Writer>
  readonly committer?: (sound: FileCommitter) => Partial<FileCommitter>
}

const mutants: Readonly<Record<string, Mutant>> = {
  'makes an epoch visible when it prepares it': {
    finds: /^nothing is visible before its commit/,
    writer: (sound) => ({
      prepareCommit: async (epoch) => {
        const parts = await sound.prepareCommit(epoch)
        for (const part of parts) await rename(hiddenOf(part), visibleOf(part))
        return parts
      },
    }),
  },
  'aborts instead of committing, and says committed': {
    finds: /^nothing is visible before its commit/,
    committer: () => ({
      commit: async (_permit, requests) => {
        for (const { committable } of requests) await unlink(hiddenOf(committable))
        return requests.map(() => ({ kind: 'committed' }))
      },
    }),
  },
  'swallows the error of a commit': {
    finds: /^a failing commit is never taken for a commit/,
    committer: (sound) => ({
      commit: async (permit, requests) =>
        (await sound.commit(permit, requests)).map((outcome) =>
          outcome.kind === 'retry' ? { kind: 'committed' } : outcome,
        ),
    }),
  },
  'goes on behind a commit that failed': {
    finds: /^nothing becomes visible behind a commit that failed/,
    committer: (sound) => ({
      commit: async (permit, requests) => {
        const each = []
        for (const request of requests) each.push(await sound.commit(permit, [request]))
        return each.flat()
      },
    }),
  },
  'answers in another order than it was asked': {
    finds: /^what is due and what was already done/,
    committer: (sound) => ({
      commit: async (permit, requests) => (await sound.commit(permit, requests)).toReversed(),
    }),
  },
  'takes a loss for a repeat': {
    finds: /^prepared data that is gone is reported as lost/,
    committer: (sound) => ({
      commit: async (permit, requests) =>
        (await sound.commit(permit, requests)).map((outcome) =>
          outcome.kind === 'lost' ? { kind: 'already-committed' } : outcome,
        ),
    }),
  },
  'remembers in memory what it committed': {
    finds: /^another process commits from the bytes alone/,
    committer: () => {
      const done = new Set<string>()
      return {
        commit: async (_permit, requests) => {
          const outcomes = []
          for (const { committable } of requests) {
            if (done.has(committable.name)) {
              outcomes.push({ kind: 'already-committed' } as const)
              continue
            }
            await rename(hiddenOf(committable), visibleOf(committable)).catch(() => undefined)
            done.add(committable.name)
            outcomes.push({ kind: 'committed' } as const)
          }
          return outcomes
        },
      }
    },
  },
  'commits by copying, so that a repeat brings the file back': {
    finds: /\(F33\)/,
    committer: (sound) => ({
      commit: async (permit, requests) => {
        const outcomes = await sound.commit(permit, requests)
        for (const { committable } of requests) {
          await copyFile(keptOf(committable), visibleOf(committable)).catch(() => undefined)
        }
        return outcomes
      },
    }),
  },
  'prunes the evidence as soon as it has committed': {
    finds: /\(F33\)/,
    committer: (sound) => ({
      commit: async (permit, requests) => {
        const outcomes = await sound.commit(permit, requests)
        await sound.forget?.(requests.map(({ committable }) => committable))
        return outcomes
      },
    }),
  },
  'forgets everything before what it is told to forget, and after it': {
    finds: /^forget takes away the evidence of what it names/,
    committer: (sound) => {
      const seen: FilePart[] = []
      return {
        commit: (permit, requests) => {
          seen.push(...requests.map(({ committable }) => committable))
          return sound.commit(permit, requests)
        },
        forget: async () => sound.forget?.(seen),
      }
    },
  },
  'never forgets': {
    finds: /^forget takes away the evidence of what it names/,
    committer: () => ({ forget: () => Promise.resolve() }),
  },
  'waits for settled where nobody says it': {
    finds: /^a host that knows no checkpoint and never says settled/,
    writer: (sound) => waiting(sound, (free) => ({ settled: free })),
  },
  'goes on waiting when it hears settled': {
    finds: /^a writer that has no room left pushes back until it hears settled/,
    writer: (sound) => waiting(sound, () => ({ settled: () => undefined })),
  },
  'uses again what is not settled': {
    finds: /^settled epochs free what they held/,
    writer: (sound) => {
      const prepared: FilePart[][] = []
      return {
        prepareCommit: async (epoch) => {
          prepared.push([...(await sound.prepareCommit(epoch))])
          // Room for four.
          for (const part of prepared.at(-5) ?? []) await unlink(hiddenOf(part)).catch(() => undefined)
          return prepared.at(-1) ?? []
        },
      }
    },
  },
  'leaves the generation out of its names': {
    finds: /^a new generation takes no name that an old one has/,
    context: (context) => ({ ...context, nextName: () => context.nextName().replace(/--\d{8}--/, '--00000000--') }),
  },
  'sweeps by list instead of by generation': {
    finds: /^what is of the same or a newer generation is never aborted/,
    committer: (sound) => ({
      abortStale: (permit, stale) => sound.abortStale(permit, { ...stale, isStale: () => true }),
    }),
  },
  'takes a job of the same id for its own': {
    finds: /^what a job of the same id in another store has/,
    committer: (sound) => ({
      abortStale: (permit, stale) => {
        const start = /^.+?--[a-z0-9]{8,}--/
        const mine = start.exec(stale.scopes[0]?.namePrefix ?? '')?.[0] ?? ''
        return sound.abortStale(permit, { ...stale, isStale: (name) => stale.isStale(name.replace(start, mine)) })
      },
    }),
  },
  'sweeps what a completed checkpoint holds': {
    finds: /^what a completed checkpoint holds is never aborted/,
    committer: (sound) => ({ abortStale: (permit, stale) => sound.abortStale(permit, { ...stale, keep: [] }) }),
  },
  'aborts nothing': {
    finds: /^leftovers of an older generation are aborted/,
    committer: () => ({ abortStale: () => Promise.resolve({ aborted: 0, clean: true }) }),
  },
  'aborts prepared data when it is closed': {
    finds: /^closing leaves prepared data alone/,
    writer: (sound) => {
      const prepared: FilePart[] = []
      return {
        prepareCommit: async (epoch) => {
          const parts = await sound.prepareCommit(epoch)
          prepared.push(...parts)
          return parts
        },
        [Symbol.asyncDispose]: async () => {
          for (const part of prepared) await unlink(hiddenOf(part)).catch(() => undefined)
          await sound[Symbol.asyncDispose]()
        },
      }
    },
  },
  'cuts when its prepare has waited': {
    finds: /^the cut is where prepare is called/,
    writer: (sound) => ({
      prepareCommit: async (epoch) => {
        await Promise.resolve()
        return sound.prepareCommit(epoch)
      },
    }),
  },
  'prepares an empty epoch as a file': {
    finds: /^an epoch without records gives no committable/,
    writer: (sound) => ({
      prepareCommit: async (epoch) => {
        const parts = await sound.prepareCommit(epoch)
        return parts.length > 0 ? parts : [{ directory: 'nowhere', name: 'n', visible: 'v', sizeBytes: 0 }]
      },
    }),
  },
  'keeps the batch that the engine reuses': {
    finds: /^nothing is visible before its commit/,
    writer: (sound) => ({
      write: (batch) => {
        void Promise.resolve().then(() => sound.write(batch))
      },
    }),
  },
}

describe('the conformance suite finds a file sink that', () => {
  for (const [what, mutant] of Object.entries(mutants)) {
    test(`${what}`, async () => {
      expect(await failingChecks(mutant)).toEqual(expect.arrayContaining([expect.stringMatching(mutant.finds)]))
    })
  }

  test('has no mistake: it finds nothing', async () => {
    expect(await failingChecks({ finds: /./ })).toEqual([])
  })
})

async function failingChecks(mutant: Mutant): Promise<string[]> {
  const failing: string[] = []
  for (const [what, check] of Object.entries(sinkChecks)) {
    if (mutant.finds.source !== '.' && !mutant.finds.test(what)) continue
    await using environment = mutated(await fileEnvironment(), mutant)
    await check(environment).catch(() => failing.push(what))
  }
  return failing
}

function mutated(environment: FileEnvironment, mutant: Mutant): FileEnvironment {
  return {
    ...environment,
    createSink: () => {
      const sound = environment.createSink()
      return {
        ...sound,
        createWriter: async (context, restored) => {
          const writer = await sound.createWriter(mutant.context?.(context) ?? context, restored)
          return over(writer, mutant.writer?.(writer))
        },
        createCommitter: async (context) => {
          const committer = await sound.createCommitter(context)
          return over(committer, mutant.committer?.(committer))
        },
      }
    },
  }
}

/** Room for four unsettled epochs; `releasing` says what makes room again. */
function waiting(sound: Writer, releasing: (free: () => void) => Partial<Writer>): Partial<Writer> {
  let used = 0
  let free = Promise.withResolvers<void>()
  return {
    write: async (batch) => {
      const copy = { values: [...batch.values], timestamps: [...batch.timestamps] }
      while (used >= 4) await free.promise
      await sound.write(copy)
    },
    prepareCommit: (epoch) => {
      used += 1
      return sound.prepareCommit(epoch)
    },
    ...releasing(() => {
      used = 0
      free.resolve()
      free = Promise.withResolvers()
    }),
  }
}

/** The sound one with some of its methods replaced; a copy would lose those of its class. */
function over<Sound extends object>(sound: Sound, replaced: Partial<Sound> = {}): Sound {
  return new Proxy(sound, {
    get: (target, key) => {
      const value: unknown = Reflect.get(key in replaced ? replaced : target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function hiddenOf(part: FilePart): string {
  return join(part.directory, hiddenPart(part.name))
}

function keptOf(part: FilePart): string {
  return join(part.directory, keptLink(part.name))
}

function visibleOf(part: FilePart): string {
  return join(part.directory, part.visible)
}
