/**
 * A file that is followed, where nothing new is found: is it still the file of its name, and is what was read of it unchanged (F20)?
 *
 * A rotated file (renamed away, or removed, with or without another one under its name) is read to its end, since it is open. Then it is an
 * error: what its writer may still append to it would be read by nobody, a position in it could not be found again by its name, and of
 * two rotations at once the file in the middle would never be seen. None of that may be lost silently.
 */
import type { Stats } from 'node:fs'
import { stat, type FileHandle } from 'node:fs/promises'
import { codeOf } from '../../clients/file/operations.ts'
import { TerminalError } from '../../engine/api/index.ts'
import type { FilePosition } from './position.ts'

export class Growth {
  readonly #handle: FileHandle
  readonly #path: string
  /** Size and times when it was compared last. */
  #compared = ''
  /** Its name was seen to be another file's, or nobody's. */
  #isMoved = false

  constructor(handle: FileHandle, path: string) {
    this.#handle = handle
    this.#path = path
  }

  /** How many bytes there are behind `byte`: no buffer is made for a file that did not grow. */
  async sizeBehind(byte: number): Promise<number> {
    return Math.max(0, (await this.#handle.stat()).size - byte)
  }

  /**
   * After a read that found nothing behind `place`. False: read once more now. `compare` looks at what was read before.
   * @throws TerminalError when it has changed, or is read to its end and no more the file of its name
   */
  async isStillGrowing(place: FilePosition, compare: () => Promise<void>): Promise<boolean> {
    const here = await this.#handle.stat()
    const facts = `${here.size} ${here.mtimeMs} ${here.ctimeMs}`
    if (facts !== this.#compared) await compare()
    this.#compared = facts
    if (this.#isMoved) throw this.#moved(place)
    this.#isMoved = !isSame(here, await this.#named())
    return !this.#isMoved
  }

  /** Undefined: there is none. */
  async #named(): Promise<Stats | undefined> {
    try {
      return await stat(this.#path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #moved({ byte }: FilePosition): TerminalError {
    return new TerminalError(
      `${this.#path} was renamed or removed while it was followed; the file that had this name was read to its end, byte ${byte}. ` +
        'Bring it back under its name, and let what comes later go to files of other names: follow a directory or a glob, ' +
        'whose new files are found while the job runs',
      { code: 'SLUICE_INPUT_RENAMED' },
    )
  }
}

function isSame(here: Stats, named: Stats | undefined): boolean {
  return here.ino === named?.ino && here.dev === named.dev
}
