/**
 * Writer state of a file sink whose parts stay open across checkpoints: the part that was open at a cut, and how much of it belongs to the
 * cut. Nothing of it is visible; a checkpoint that holds it holds its records.
 */
import { CorruptCheckpointError, jsonCodec, type Codec } from '../../engine/api/index.ts'
import type { Compression } from '../../clients/file/compression.ts'

/** A part that is not complete: writer state of a checkpoint. */
export interface OpenPart {
  /** Absolute. */
  readonly directory: string
  /** External name; the hidden part is `.<name>.part`. */
  readonly name: string
  /** In whose history it was opened. */
  readonly lineage: string
  /** Of the visible name it would get. */
  readonly extension: string
  readonly compression: Compression | 'none'
  /** Valid bytes of its content, decompressed: what lies behind them belongs to an epoch that was lost. */
  readonly contentBytes: number
}

const json = jsonCodec<unknown>()

export const openPartCodec: Codec<OpenPart> = {
  version: json.version,
  encode: (part) => json.encode(part),
  decode: (bytes, version) => {
    if (version !== json.version) {
      throw new CorruptCheckpointError(`an open file part of version ${version}; this release reads ${json.version}`, {
        code: 'SLUICE_FORMAT_UNKNOWN',
      })
    }
    return parseOpenPart(json.decode(bytes, version))
  },
}

function parseOpenPart(value: unknown): OpenPart {
  const part: Partial<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {}
  const { directory, name, lineage, extension, compression, contentBytes } = part
  if (
    typeof directory !== 'string' ||
    typeof name !== 'string' ||
    typeof lineage !== 'string' ||
    typeof extension !== 'string' ||
    !(compression === 'none' || compression === 'gzip' || compression === 'zstd') ||
    typeof contentBytes !== 'number'
  ) {
    throw new CorruptCheckpointError(`not an open file part: ${JSON.stringify(value)}`, {
      code: 'SLUICE_CHECKPOINT_CORRUPT',
    })
  }
  return { directory, name, lineage, extension, compression, contentBytes }
}
