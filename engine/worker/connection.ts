/**
 * A socket that speaks in frames. Owns the socket: whatever is wrong with it or with what arrives closes it, and that is said once.
 *
 * - C8: what is sent waits in memory until the other side reads; who sends keeps it bounded (channels by credit).
 * - What is sent in one synchronous stretch goes out together.
 */
import type { Socket } from 'node:net'
import { FrameReader, frameOf, MAX_PAYLOAD_BYTES, ProtocolError, type Frame, type FrameKind } from './frame.ts'

export interface ConnectionListener {
  /** An error thrown here closes the connection. */
  onFrame(frame: Frame): void
  /** Once, nothing comes after it. Undefined: one side has ended it between two frames. */
  onClose(error: Error | undefined): void
}

export interface FramePayload {
  readonly head: Uint8Array
  readonly rest?: Uint8Array
}

const NOTHING: FramePayload = { head: new Uint8Array(0) }

export class Connection {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #listener: ConnectionListener
  /** Arrived while it was paused: no more than one chunk of the socket. Undefined: it is not paused. */
  #held: Frame[] | undefined
  #isCorked = false
  #isClosed = false

  /** Begins to read when the listener is set and the current stretch of code is over. */
  constructor(socket: Socket, listener: ConnectionListener, maxPayloadBytes = MAX_PAYLOAD_BYTES) {
    this.#socket = socket
    this.#listener = listener
    this.#reader = new FrameReader((frame) => {
      if (this.#isClosed) return
      if (this.#held === undefined) listener.onFrame(frame)
      else this.#held.push({ ...frame, payload: Buffer.from(frame.payload) })
    }, maxPayloadBytes)
    socket.on('data', (chunk: Buffer) => this.#arrived(chunk))
    socket.on('end', () => this.close(this.#cutOff()))
    socket.on('error', (error) => this.close(error))
    socket.on('close', () => this.close(this.#cutOff()))
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Dropped when it is closed. @throws TerminalError when it is too long */
  send(kind: FrameKind, channel = 0, payload: FramePayload = NOTHING): void {
    const frame = frameOf(kind, channel, payload)
    if (this.#isClosed) return
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#socket.cork()
      process.nextTick(() => {
        this.#isCorked = false
        this.#socket.uncork()
      })
    }
    this.#socket.write(frame)
    if (payload.rest !== undefined && payload.rest.byteLength > 0) this.#socket.write(payload.rest)
  }

  /** Of what arrives. */
  set maxPayloadBytes(limit: number) {
    this.#reader.maxPayloadBytes = limit
  }

  /** Nothing is passed on or read, so the other side has to wait. */
  pause(): void {
    this.#held ??= []
    this.#socket.pause()
  }

  resume(): void {
    const held = this.#held ?? []
    this.#held = undefined
    this.#guard(() => {
      for (const frame of held) if (!this.#isClosed) this.#listener.onFrame(frame)
    })
    if (!this.#isClosed) this.#socket.resume()
  }

  /** Idempotent. What was sent still goes out if the other side reads it. */
  close(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (error === undefined) this.#socket.destroySoon()
    else this.#socket.destroy()
    this.#listener.onClose(error)
  }

  #arrived(chunk: Buffer): void {
    if (!this.#isClosed) this.#guard(() => this.#reader.push(chunk))
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.close(error instanceof Error ? error : new ProtocolError(String(error)))
    }
  }

  #cutOff(): Error | undefined {
    return this.#reader.isBetweenFrames ? undefined : new Error('the other side went away within a frame')
  }
}
