/** Lines over a socket, each bounded: who sends more, or nothing for too long, is cut off. */
import type { Socket } from 'node:net'
import { MAX_MESSAGE_BYTES } from './protocol.ts'

/** The next line of each call; undefined when there is none any more, or a longer one than there may be. */
export class LineSocket {
  readonly #socket: Socket
  #buffer = ''
  #isOver = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#buffer += text
      if (this.#buffer.length > MAX_MESSAGE_BYTES) socket.destroy()
      this.#wake()
    })
    const end = (): void => {
      this.#isOver = true
      this.#wake()
    }
    socket.on('error', end)
    socket.on('end', end)
    socket.on('close', end)
  }

  /** One caller at a time. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#buffer.indexOf('\n')
      if (end >= 0 && end <= MAX_MESSAGE_BYTES) {
        const line = this.#buffer.slice(0, end)
        this.#buffer = this.#buffer.slice(end + 1)
        return line
      }
      if (this.#isOver) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** A peer that is gone hears nothing. */
  send(line: string): void {
    if (!this.#isOver || this.#socket.writable) this.#socket.write(`${line}\n`)
  }
}
