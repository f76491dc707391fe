import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c, crc32cInJavaScript } from '../../../clients/kafka/crc32c.ts'

test('the checksum is CRC-32C: the check value of its definition', () => {
  expect(crc32cInJavaScript(Buffer.from('123456789'))).toBe(0xe3069283)
})

test('the native one and that in JavaScript agree, wherever in memory the bytes begin', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(8), (bytes, from) => {
      const view = bytes.subarray(Math.min(from, bytes.length))
      expect(crc32cInJavaScript(view)).toBe(crc32c(view))
    }),
  )
})
