/** Settings: what is given, what is reused from the last run, and what neither knows. */
import { expect, test } from 'vitest'
import { buildJob, type BuiltJob, type Settings } from '../../engine/index.ts'
import { sink, source } from './connectors.ts'

type Texts = Readonly<Record<string, string>>

function build(read: (settings: Settings) => void, given: Texts, reused: Texts = {}): BuiltJob {
  return buildJob(
    {
      id: 'job',
      build(flow, settings) {
        read(settings)
        flow.source('in', source()).sink('out', sink())
      },
    },
    given,
    reused,
  )
}

function readAll(read: (settings: Settings) => unknown, given: Texts, reused: Texts = {}): unknown {
  let seen: unknown
  build((settings) => (seen = read(settings)), given, reused)
  return seen
}

test('a setting is given, reused or has a default, in this order', () => {
  const read = (settings: Settings): unknown => settings.string('input', { default: 'c' })
  expect(readAll(read, { input: 'a' }, { input: 'b' })).toBe('a')
  expect(readAll(read, {}, { input: 'b' })).toBe('b')
  expect(readAll(read, {})).toBe('c')
  expect(readAll(read, { input: '' })).toBe('')
})

test('a missing one is refused with the flag that gives it', () => {
  expect(() => build((settings) => settings.string('input'), {})).toThrow(
    /setting "input" is missing: give it with --set input=…/,
  )
  expect(() => build((settings) => settings.string('constructor'), {})).toThrow(/"constructor" is missing/)
})

test('one that the job does not know is refused if it was given, and passed over if it was reused', () => {
  expect(() => build((settings) => settings.string('input'), { input: 'a', inptu: 'b' })).toThrow(
    /does not know the setting "inptu"; it knows: input/,
  )
  const built = build((settings) => settings.string('input'), {}, { input: 'a', gone: 'b' })
  expect(built.settings).toEqual({ input: 'a' })
})

test('what was used is told, defaults left out', () => {
  const built = build(
    (settings) => {
      settings.number('batch', { default: 5 })
      settings.string('input')
      settings.flag('fast')
    },
    { input: 'a', fast: 'true' },
  )
  expect(built.settings).toEqual({ input: 'a', fast: 'true' })
})

test('numbers and flags are read strictly', () => {
  expect(
    readAll((settings) => [settings.number('n'), settings.flag('f'), settings.flag('g')], { n: '-1.5e3', f: 'true' }),
  ).toEqual([-1500, true, false])
  expect(readAll((settings) => settings.number('n', { default: 0.1 }), {})).toBe(0.1)
  for (const text of ['', ' ', 'x', '1,5', 'NaN', 'Infinity']) {
    expect(() => build((settings) => settings.number('n'), { n: text })).toThrow(/setting "n" is ".*", not a number/)
  }
  for (const text of ['', 'yes', '1', 'TRUE']) {
    expect(() => build((settings) => settings.flag('f'), { f: text })).toThrow(/say --set f=true or f=false/)
  }
})
