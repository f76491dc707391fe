/** Cuts a stream of bytes into frames: four bytes of length, and as many bytes as they say. */

const LENGTH_BYTES = 4

export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The frames that are whole now, with their length before them. */
  push(data: Buffer): readonly Buffer[] {
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    const frames: Buffer[] = []
    for (;;) {
      if (this.#rest.length < LENGTH_BYTES) return frames
      const size = LENGTH_BYTES + this.#rest.readInt32BE(0)
      if (this.#rest.length < size) return frames
      frames.push(this.#rest.subarray(0, size))
      this.#rest = this.#rest.subarray(size)
    }
  }
}
