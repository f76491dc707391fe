import { expect, test } from 'vitest'
import { isDebris } from '../../engine/checkpoint/sweep.ts'

type Owner = 'older' | 'own' | 'newer' | 'nobody'
type Reference = 'referred' | 'not referred'

const SWEEPER = 5
const OWNERS: Readonly<Record<Owner, number | undefined>> = { older: 4, own: 5, newer: 6, nobody: undefined }

const TABLE: Readonly<Record<Owner, Readonly<Record<Reference, boolean>>>> = {
  older: { referred: false, 'not referred': true },
  own: { referred: false, 'not referred': false },
  newer: { referred: false, 'not referred': false },
  nobody: { referred: false, 'not referred': false },
}

const cells = Object.entries(TABLE).flatMap(([owner, row]) =>
  Object.entries(row).map(([reference, isGone]) => [owner, reference, isGone] as const),
)

test.each(cells)('a name of %s generation that is %s is debris: %s (C3, F36)', (owner, reference, isGone) => {
  const referred = new Set(reference === 'referred' ? ['a'] : ['b'])
  expect(isDebris({ key: 'a', owner: OWNERS[owner as Owner], sweeper: SWEEPER, referred })).toBe(isGone)
})
