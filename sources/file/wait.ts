/** Waiting that a poll can leave at any time: what is waited for goes on and is found by the next one. */

/** Resolves when `work` has settled, however, or as soon as `signal` aborts. */
export async function waitFor(work: Promise<unknown> | undefined, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>()
  const onAbort = (): void => aborted.resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
