/** Signals to an example: it ends what it started, removes what it wrote, and says by its exit code that it was interrupted. */

const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

/** Resolves with the exit code: that of the signal, if one came. */
export async function interruptible(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const interrupted = new AbortController()
  let code: number | undefined
  for (const [name, itsCode] of Object.entries(CODES)) {
    process.on(name, () => {
      code ??= itsCode
      interrupted.abort(name)
    })
  }
  try {
    const usual = await run(interrupted.signal)
    return code ?? usual
  } catch (error) {
    if (code !== undefined) return code
    throw error
  }
}
