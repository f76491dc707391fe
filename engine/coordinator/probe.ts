/**
 * The start-up probe: 16 concurrent creates of one throw-away key, exactly one may win. A store that fails is refused, since the whole
 * protocol rests on it.
 */
import { TerminalError, type CheckpointStore, type Runtime } from '../api/index.ts'

const CONTENDERS = 16

/** @throws TerminalError if the store does not enforce conditional creates; whatever the store throws if it cannot be written */
export async function probeStore(store: CheckpointStore, job: string, runtime: Runtime): Promise<void> {
  const key = `${job}/probe/${runtime.random.token(16)}`
  const bytes = Array.from({ length: CONTENDERS }, (_, index) => new TextEncoder().encode(`contender ${index}`))
  try {
    const answers = await Promise.all(bytes.map((one) => store.create(key, one)))
    const winners = answers.flatMap((answer, index) => (answer === 'created' ? [index] : []))
    const winner = winners[0]
    const stored = await store.get(key)
    const expected = winner === undefined ? undefined : bytes[winner]
    if (
      winners.length === 1 &&
      stored !== undefined &&
      expected !== undefined &&
      Buffer.compare(stored, expected) === 0
    )
      return
    throw new TerminalError(
      `${store.uri} does not enforce conditional creates: of ${CONTENDERS} concurrent creates of one key ${winners.length} won. ` +
        'Two processes could both complete checkpoints there; use another store',
      { code: 'SLUICE_STORE_UNSAFE' },
    )
  } finally {
    await store.delete(key)
  }
}
