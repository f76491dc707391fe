/**
 * What a file sink hands to its committer: one closed part, on disk under two hidden names.
 */
import { CorruptCheckpointError, jsonCodec, type Codec } from '../../engine/api/index.ts'

/** A part that is complete and not visible: a committable. */
export interface FilePart {
  /** Absolute. */
  readonly directory: string
  /** External name: hidden part `.<name>.part`, second link `.<name>.keep`. */
  readonly name: string
  /** Name it gets when committed. */
  readonly visible: string
  readonly sizeBytes: number
  /** It is the copy of this one, of another generation, which goes when the commit is settled. */
  readonly replaces?: { readonly directory: string; readonly name: string }
}

const json = jsonCodec<unknown>()

export const filePartCodec: Codec<FilePart> = {
  version: json.version,
  encode: (part) => json.encode(part),
  decode: (bytes, version) => {
    if (version !== json.version) {
      throw new CorruptCheckpointError(`a file part of version ${version}; this release reads ${json.version}`, {
        code: 'SLUICE_FORMAT_UNKNOWN',
      })
    }
    return parsePart(json.decode(bytes, version))
  },
}

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

/**
 * Sorts in commit order within a subtask: generation, then operator, subtask and counter; then what makes it unique. One to one with the
 * external name, so never used twice (C5).
 */
export function visibleName(name: string, extension: string): string {
  const [job, lineage, generation, ...rest] = segmentsOf(name) ?? []
  const text = generation === undefined ? name : [generation, ...rest, job, lineage].join('--')
  return `part-${text}${extension}`
}

const SEGMENTS = 6

/** job, lineage, generation, operator, subtask, counter: none of them holds `--`. */
function segmentsOf(name: string): readonly string[] | undefined {
  const segments = name.split('--')
  return segments.length === SEGMENTS ? segments : undefined
}

function parsePart(value: unknown): FilePart {
  const part: Partial<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {}
  const { directory, name, visible, sizeBytes } = part
  const replaces = parseReplaced(part['replaces'])
  if (
    typeof directory !== 'string' ||
    typeof name !== 'string' ||
    typeof visible !== 'string' ||
    typeof sizeBytes !== 'number' ||
    replaces === 'none'
  ) {
    throw new CorruptCheckpointError(`not a file part: ${JSON.stringify(value)}`, { code: 'SLUICE_CHECKPOINT_CORRUPT' })
  }
  return { directory, name, visible, sizeBytes, ...(replaces === undefined ? {} : { replaces }) }
}

function parseReplaced(value: unknown): FilePart['replaces'] | 'none' {
  if (value === undefined) return undefined
  const part: Partial<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {}
  const { directory, name } = part
  return typeof directory === 'string' && typeof name === 'string' ? { directory, name } : 'none'
}
