/**
 * The protocol under every interleaving of a few processes: starts, appends, commits, aborts, sweeps and cleaning, each paused or dead
 * at any point, with waymarks so near that cleaned numbers come up. Invariants C1, C2, C3, C5 are checked at every effect (world.ts).
 * Each mutant breaks one rule and must be caught; a model that catches nothing proves nothing.
 */
import { expect, test } from 'vitest'
import { explore, type Bounds, type Exploration } from './model/explore.ts'
import { MUTANTS, type Mutant, type Rules } from './model/process.ts'

type Setting = 'long' | 'distant' | 'interrupted' | 'three'

const settings: Readonly<Record<Setting, { readonly bounds: Bounds; readonly rules: Omit<Rules, 'mutant'> }>> = {
  // Long enough that entries are cleaned while somebody sleeps.
  long: {
    bounds: { processes: 2, lostReplies: 0, declines: 0 },
    rules: { distance: 1, epochs: 4, sinks: 1, keep: 2, overlap: false },
  },
  // Several entries between two waymarks: the search gallops over both.
  distant: {
    bounds: { processes: 2, lostReplies: 0, declines: 0 },
    rules: { distance: 2, epochs: 6, sinks: 1, keep: 1, overlap: false },
  },
  // A lost reply, a declined checkpoint, two sinks, commits that fall behind.
  interrupted: {
    bounds: { processes: 2, lostReplies: 1, declines: 1 },
    rules: { distance: 1, epochs: 2, sinks: 2, keep: 1, overlap: true },
  },
  three: {
    bounds: { processes: 3, lostReplies: 0, declines: 0 },
    rules: { distance: 1, epochs: 1, sinks: 1, keep: 1, overlap: false },
  },
}

function run(setting: Setting, mutant?: Mutant): Exploration {
  const { bounds, rules } = settings[setting]
  return explore(bounds, { ...rules, mutant })
}

const expected: Readonly<Record<Setting, { readonly worlds: number; readonly seen: readonly string[] }>> = {
  long: { worlds: 10_000, seen: ['stale start', 'commit again', 'create meets an entry', 'clean'] },
  distant: { worlds: 10_000, seen: ['stale start', 'commit again', 'create meets an entry', 'clean'] },
  interrupted: { worlds: 10_000, seen: ['commit again', 'create meets an entry', 'sweep'] },
  three: { worlds: 100_000, seen: ['stale start', 'commit again', 'create meets an entry', 'clean'] },
}

for (const setting of ['long', 'distant', 'interrupted', 'three'] as const) {
  test(`no interleaving breaks C1, C2, C3 or C5 (${setting})`, () => {
    const { violation, worlds, seen } = run(setting)
    expect(violation).toBeUndefined()
    expect(worlds).toBeGreaterThan(expected[setting].worlds)
    expect(expected[setting].seen.filter((name) => (seen.get(name) ?? 0) < 5)).toEqual([])
  })
}

const caught: Readonly<Record<Mutant, { readonly setting: Setting; readonly as: RegExp }>> = {
  'skip the mark look after start': { setting: 'long', as: /^C3: a start whose number had been cleaned away went on/ },
  'clean started entries': { setting: 'long', as: /^C3: \w+ of a fenced generation took the cleaned number/ },
  'abort before fence': { setting: 'long', as: /^C2: .+ completed/ },
  'abort before commit': { setting: 'long', as: /^C2: .+ is completed and was aborted/ },
  'abort without asking for generations': { setting: 'distant', as: /^C2: .+ was aborted and is completed now/ },
  'commit before completion': { setting: 'long', as: /^C1: .+ is visible before its checkpoint completed/ },
  'sweep by list without generation': { setting: 'long', as: /^C3: .+ is needed and gone/ },
  'fall back to older': { setting: 'distant', as: /^C2: record \d+ is visible twice/ },
  'an abandoned epoch is not carried': { setting: 'interrupted', as: /^C2: sink 0 shows records/ },
  'take a lost reply for a failure': { setting: 'interrupted', as: /^C[23]: / },
  'retain without looking at commits': { setting: 'interrupted', as: /^C2: / },
}

test.for(MUTANTS)('the model catches: %s', (mutant) => {
  const { setting, as } = caught[mutant]
  expect(run(setting, mutant).violation).toMatch(as)
})
