/**
 * Waiting that ends: whatever is outside may never answer, and a job must not hang for it.
 */
import type { Timers } from '../api/index.ts'

/** What `promise` came to, or undefined after `limitMs` (it then goes on unheard). @throws what `promise` throws in time */
export async function within<T>(
  timers: Timers,
  limitMs: number,
  promise: Promise<T>,
): Promise<{ value: T } | undefined> {
  const alarm = new AbortController()
  const late = timers.sleep(limitMs, alarm.signal).then(
    () => undefined,
    () => undefined,
  )
  const done = promise.then((value) => ({ value }))
  try {
    return await Promise.race([done, late])
  } finally {
    done.catch(() => undefined)
    alarm.abort()
  }
}

/** Calls at once if the signal has aborted already; disposing stops listening. */
export function whenAborted(signal: AbortSignal, act: () => void): Disposable {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', act) }
}

/** Rejects with the signal's reason when it aborts; never resolves. */
export function abortionOf(signal: AbortSignal): Promise<never> & Disposable {
  const { promise, reject } = Promise.withResolvers<never>()
  const listening = whenAborted(signal, () => reject(signal.reason))
  promise.catch(() => undefined)
  return Object.assign(promise, { [Symbol.dispose]: () => listening[Symbol.dispose]() })
}
