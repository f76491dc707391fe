/**
 * What one check of `sluice doctor` comes to: fine, worth a look, or in the way; with what would help.
 */
import { messageOf } from '../../engine/api/index.ts'

export type Finding = {
  /** One or two words. */
  readonly check: string
  readonly message: string
} & ({ readonly state: 'ok' } | { readonly state: 'warn' | 'fail'; readonly cure: string })

export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message }
}

export function warn(check: string, message: string, cure: string): Finding {
  return { check, state: 'warn', message, cure }
}

export function fail(check: string, message: string, cure: string): Finding {
  return { check, state: 'fail', message, cure }
}

/** A check that breaks off says why; those behind it are made all the same. */
export async function checked(check: string, act: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await act()
  } catch (error) {
    // Our own messages say what to do.
    return [fail(check, messageOf(error), 'see the message')]
  }
}
