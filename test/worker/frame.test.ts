/** Frames: whatever pieces a socket makes of them, they come out whole; what is none is refused. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  FRAME_KINDS,
  FrameReader,
  frameOf,
  HEADER_BYTES,
  ProtocolError,
  type FrameKind,
} from '../../engine/worker/frame.ts'

interface Told {
  readonly kind: FrameKind
  readonly channel: number
  readonly payload: string
}

/** The name of the error that came of it. */
function outcomeOf(act: () => unknown): string {
  try {
    act()
    return 'none'
  } catch (error) {
    return error instanceof Error ? error.name : String(error)
  }
}

const kinds = Object.keys(FRAME_KINDS) as FrameKind[]
const told = fc.record({
  kind: fc.constantFrom(...kinds),
  channel: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.string({ maxLength: 60 }),
})

function bytesOf(frames: readonly Told[]): Buffer {
  return Buffer.concat(
    frames.flatMap(({ kind, channel, payload }) => {
      const bytes = Buffer.from(payload)
      const cut = bytes.length >> 1
      const rest = bytes.subarray(cut)
      return [frameOf(kind, channel, { head: bytes.subarray(0, cut), rest }), rest]
    }),
  )
}

function readIn(pieces: readonly Buffer[]): { readonly frames: readonly Told[]; readonly isBetweenFrames: boolean } {
  const frames: Told[] = []
  const reader = new FrameReader(({ kind, channel, payload }) =>
    frames.push({ kind, channel, payload: payload.toString() }),
  )
  for (const piece of pieces) reader.push(piece)
  return { frames, isBetweenFrames: reader.isBetweenFrames }
}

test('frames split at every byte come out as they went in', () => {
  fc.assert(
    fc.property(fc.array(told, { minLength: 1, maxLength: 4 }), (frames) => {
      const bytes = bytesOf(frames)
      for (let cut = 0; cut <= bytes.length; cut += 1) {
        expect(readIn([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual({ frames, isBetweenFrames: true })
      }
    }),
    { numRuns: 50 },
  )
})

test('frames in pieces of any sizes come out as they went in', () => {
  fc.assert(
    fc.property(
      fc.array(told, { maxLength: 12 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      (frames, sizes) => {
        const bytes = bytesOf(frames)
        const pieces: Buffer[] = []
        for (let at = 0; at < bytes.length;) {
          const size = sizes.next().value ?? 1
          pieces.push(bytes.subarray(at, at + size))
          at += size
        }
        expect(readIn(pieces)).toEqual({ frames, isBetweenFrames: true })
      },
    ),
  )
})

test('a frame that has not ended is not between frames, and nothing of it is passed on', () => {
  const bytes = bytesOf([{ kind: 'records', channel: 7, payload: 'abcdef' }])
  for (let cut = 1; cut < bytes.length; cut += 1) {
    expect(readIn([bytes.subarray(0, cut)])).toEqual({ frames: [], isBetweenFrames: false })
  }
})

test('what lies in one piece is passed on without a copy', () => {
  const bytes = bytesOf([{ kind: 'records', channel: 7, payload: 'abcdef' }])
  let isSame = false
  new FrameReader(({ payload }) => {
    isSame = payload.buffer === bytes.buffer
  }).push(bytes)
  expect(isSame).toBe(true)
})

describe('what is no frame is refused', () => {
  const good = bytesOf([{ kind: 'records', channel: 1, payload: 'x' }])
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }

  test.each([
    ['another beginning', changed(0, 0), /begins with/],
    ['a kind nobody knows', changed(2, 99), /no frame is of kind 99/],
    ['a length beyond the limit', changed(11, 0x7f), /a records frame of \d+ bytes; 100 are allowed/],
    ['text of somebody else', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /begins with/],
  ])('%s', (_, bytes, reason) => {
    for (const cut of [0, 1, HEADER_BYTES - 1]) {
      const reader = new FrameReader(() => undefined, 100)
      const push = (): void => {
        reader.push(bytes.subarray(0, cut))
        reader.push(bytes.subarray(cut))
      }
      expect(push).toThrow(ProtocolError)
      expect(push).toThrow(reason)
    }
  })

  test('random bytes are frames or an error, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const read = (): unknown => readIn([Buffer.from(noise)])
        expect(['none', 'ProtocolError']).toContain(outcomeOf(read))
      }),
    )
  })
})
