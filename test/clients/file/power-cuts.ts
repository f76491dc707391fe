/** The power is cut before operation 0, 1, 2, … of a life on a disk in memory, until a life gets through; each time somebody judges. */
import { setImmediate as turn } from 'node:timers/promises'
import { volatileDisk, type Operation, type VolatileDisk } from './volatile-disk.ts'

export interface Verdict {
  readonly cuts: number
  /** That were compared. */
  readonly facts: number
  readonly violations: readonly string[]
}

export interface Life {
  /** On `disk`, until it ends or the power is cut: what is asked of the disk afterwards never returns. */
  live(disk: VolatileDisk): Promise<unknown>
  /** What is wrong with what survived. */
  judge(survivors: VolatileDisk): Promise<Judged>
}

export interface Judged {
  readonly facts: number
  readonly violations: readonly string[]
}

/** `ignores`: a seeded mistake, operations that say they were done and were not. Both kinds of survivors are judged after each cut. */
export async function cutEverywhere(ignores: (operation: Operation) => boolean, create: () => Life): Promise<Verdict> {
  const violations: string[] = []
  let facts = 0
  for (let cuts = 0; ; cuts += 1) {
    let wasCut = false
    for (const unsynced of ['nothing', 'names'] as const) {
      const before = (_operation: Operation, index: number): 'cut' | void => {
        if (index < cuts) return
        wasCut = true
        return 'cut'
      }
      const disk = volatileDisk({ ignores, before })
      const life = create()
      await untilStill(life.live(disk), disk)
      const judged = await life.judge(disk.survivors(unsynced))
      facts += judged.facts
      violations.push(...judged.violations.map((one) => `cut before operation ${cuts}, ${unsynced} unsynced: ${one}`))
    }
    if (!wasCut) return { cuts, facts, violations }
  }
}

/** Operations of a stopped disk never return: wait until nothing moves any more. True: `act` has ended. */
export async function untilStill(act: Promise<unknown>, disk: VolatileDisk): Promise<boolean> {
  let isDone = false
  // Whatever a stopped or fenced process died of: only what it did to the disk counts.
  void Promise.allSettled([act]).then(() => {
    isDone = true
  })
  for (let still = 0, seen = -1; !isDone && still < 5; still += 1) {
    if (disk.log.length !== seen) still = 0
    seen = disk.log.length
    await turn()
  }
  return isDone
}
