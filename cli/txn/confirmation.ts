/** Asks a person before something is done that cannot be taken back. */
import { createInterface } from 'node:readline/promises'
import { TerminalError } from '../../engine/api/index.ts'

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** False: the answer is no, or there is none. @throws TerminalError where there is nobody to ask */
export async function isConfirmed(question: string, { input, output }: Terminal): Promise<boolean> {
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new TerminalError('there is no terminal to ask on; say --yes if it shall be done', {
      code: 'SLUICE_TXN_NOT_CONFIRMED',
    })
  }
  const asking = createInterface({ input, output })
  const closed = new Promise<string>((resolve) => asking.once('close', () => resolve('')))
  try {
    const answer = await Promise.race([asking.question(`${question} [y/N] `), closed])
    return /^\s*y(es)?\s*$/i.test(answer)
  } finally {
    asking.close()
  }
}
