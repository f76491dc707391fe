/** File sinks with a seeded mistake in what they do with writer state, and the check of the conformance suite that must find it. */
import { readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Committer, SinkWriter } from '../../engine/api/index.ts'
import type { FilePart, OpenPart } from '../../sinks/file/sink.ts'
import { stateChecks } from '../conformance/sink-state-checks.ts'
import { fileEnvironment, type FileEnvironment, type Numbered } from './file/file-environment.ts'

interface Mutant {
  /** A check with such a name must fail. */
  readonly finds: RegExp
  readonly restored?: (states: readonly OpenPart[]) => readonly OpenPart[]
  readonly writer?: (
    sound: SinkWriter<Numbered, FilePart, OpenPart>,
  ) => Partial<SinkWriter<Numbered, FilePart, OpenPart>>
  readonly committer?: (
    sound: Committer<FilePart, OpenPart>,
    environment: FileEnvironment,
  ) => Partial<Committer<FilePart, OpenPart>>
}

const mutants: Readonly<Record<string, Mutant>> = {
  'leaves the open part out of its state': {
    finds: /^what writer state holds/,
    writer: () => ({ snapshot: () => [] }),
  },
  'does not look at what it is restored from': { finds: /^writer state goes to whichever/, restored: () => [] },
  'takes one of several restored parts': {
    finds: /^writer state goes to whichever/,
    restored: (states) => states.slice(0, 1),
  },
  'restores a part twice': { finds: /^what writer state holds/, restored: (states) => [...states, ...states] },
  'says less than was written before the cut': {
    finds: /^what writer state holds/,
    writer: (sound) => ({
      snapshot: (checkpoint) =>
        (sound.snapshot?.(checkpoint) ?? []).map((open) => ({ ...open, contentBytes: open.contentBytes - 34 })),
    }),
  },
  'keeps its part open behind the end of the input': {
    finds: /^what writer state holds/,
    writer: (sound) => ({ prepareCommit: (epoch) => sound.prepareCommit({ ...epoch, endOfInput: false }) }),
  },
  'makes it visible when it is restored': {
    finds: /^nothing that writer state alone holds/,
    writer: (sound) => ({
      prepareCommit: async (epoch) => {
        const parts = await sound.prepareCommit(epoch)
        for (const { directory, name, visible } of parts)
          await rename(join(directory, `.${name}.part`), join(directory, visible))
        return parts
      },
    }),
  },
  'sweeps what writer state names': {
    finds: /^a restore that is interrupted/,
    committer: (sound) => ({
      abortStale: (permit, stale) => sound.abortStale(permit, { ...stale, keepWriterState: [] }),
    }),
  },
  'sweeps whatever is hidden': {
    finds: /^a restore that is interrupted/,
    committer: (_, { directory }) => ({
      abortStale: async () => {
        for (const name of await readdir(directory)) if (name.startsWith('.')) await unlink(join(directory, name))
        return { aborted: 0, clean: true }
      },
    }),
  },
  'leaves the part that was copied': {
    finds: /^what writer state holds/,
    committer: (sound) => ({
      forget: async (parts) => sound.forget?.(parts.map(({ replaces: _, ...part }) => part)),
    }),
  },
}

describe('the checks find a sink that', () => {
  for (const [what, mutant] of Object.entries(mutants)) {
    test(`${what}`, async () => {
      const failed = await failing(mutant)
      expect(
        failed.filter((name) => mutant.finds.test(name)),
        `failed: ${failed.join(' | ')}`,
      ).toHaveLength(1)
    })
  }

  test('has no mistake: they find nothing', async () => {
    expect(await failing({ finds: /./ })).toEqual([])
  })
})

async function failing(mutant: Mutant): Promise<string[]> {
  const failed: string[] = []
  for (const [what, check] of Object.entries(stateChecks)) {
    const environment = await fileEnvironment({ rolling: 'when-full' })
    await check(mutated(environment, mutant)).catch(() => failed.push(what))
    await environment[Symbol.asyncDispose]()
  }
  return failed
}

function mutated(environment: FileEnvironment, mutant: Mutant): FileEnvironment {
  return {
    ...environment,
    createSink: () => {
      const sound = environment.createSink()
      return {
        ...sound,
        createWriter: async (context, restored) => {
          const writer = await sound.createWriter(context, mutant.restored?.(restored) ?? restored)
          return over(writer, mutant.writer?.(writer))
        },
        createCommitter: async (context) => {
          const committer = await sound.createCommitter(context)
          return over(committer, mutant.committer?.(committer, environment))
        },
      }
    },
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
