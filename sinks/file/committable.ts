/**
 * What a file sink hands to its committer: one closed part, on disk under two hidden names.
 */
import { jsonCodec, type Codec } from '../../engine/api/index.ts'

export interface FilePart {
  /** Absolute. */
  readonly directory: string
  /** External name: hidden part `.<name>.part`, second link `.<name>.keep`. */
  readonly name: string
  /** Name it gets when committed. */
  readonly visible: string
  readonly sizeBytes: number
}

export const filePartCodec: Codec<FilePart> = jsonCodec<FilePart>()

export function hiddenPart(name: string): string {
  return `.${name}.part`
}

/** The second link: as long as it is there, a missing part means that it was committed, not lost. */
export function keptLink(name: string): string {
  return `.${name}.keep`
}

/** The external name in a hidden name of ours, or undefined. */
export function nameInHidden(file: string): string | undefined {
  return /^\.(.+)\.(?:part|keep)$/.exec(file)?.[1]
}
