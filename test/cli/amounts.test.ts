/** Amounts as people read them. */
import { expect, test } from 'vitest'
import { bytesText, countText, durationText, pluralText } from '../../cli/amounts.ts'

test('counts keep their digits while they are few, then three of them', () => {
  expect(
    [0, 999, 1_234.4, 99_999, 100_000, 123_456, 1_234_567, 999_949, 999_999_999, 12e9, 5e15].map(countText),
  ).toEqual(['0', '999', '1,234', '99,999', '100.0k', '123.5k', '1.23M', '1.00M', '1.00G', '12.0G', '5000T'])
  expect([1, 2, 1_000_000].map((count) => pluralText(count, 'record'))).toEqual([
    '1 record',
    '2 records',
    '1.00M records',
  ])
})

test('bytes and durations have their unit', () => {
  expect([0, 1_023, 1_024, 5_000, 3_500_000, 2 ** 40].map(bytesText)).toEqual([
    '0 B',
    '1023 B',
    '1.00 KiB',
    '4.88 KiB',
    '3.34 MiB',
    '1.00 TiB',
  ])
  const MINUTE = 60_000
  const durations = [0, 999.4, 1_000, 59_999, MINUTE, 61 * MINUTE, 25 * 60 * MINUTE, -1_500]
  expect(durations.map(durationText)).toEqual([
    '0 ms',
    '999 ms',
    '1.0 s',
    '59.9 s',
    '1m 00s',
    '1h 01m',
    '1d 01h',
    '-1.5 s',
  ])
})
