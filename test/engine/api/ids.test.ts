import { expect, test } from 'vitest'
import { parseJobId, parseOperatorId, TerminalError } from '../../../engine/api/index.ts'

const parsers = { 'job id': parseJobId, 'operator id': parseOperatorId }

test.each(Object.entries(parsers))('a %s is a word of letters, digits and inner punctuation', (_, parse) => {
  for (const id of ['a', 'orders', 'Order_2', 'a-b.c_d', '0', 'x'.repeat(100), 'a_']) expect(parse(id)).toBe(id)
})

test.each(Object.entries(parsers))(
  'a %s that would have two readings in an external name is refused (C5)',
  (what, parse) => {
    for (const id of ['a--b', 'a---b', 'a-', '-a', 'a--']) {
      expect(() => parse(id)).toThrow(TerminalError)
      expect(() => parse(id)).toThrow(
        `${what} "${id}" is not valid: use letters, digits, "_", inner "." and inner "-" (but no "--")`,
      )
    }
  },
)

test.each(Object.entries(parsers))('a %s that is not safe in a path or too long is refused', (_, parse) => {
  for (const id of ['', '.', '..', '.a', 'a.', 'a/b', 'a\\b', 'a b', 'a\n', 'é', 'x'.repeat(101)]) {
    expect(() => parse(id)).toThrow(/is not valid/)
  }
})
