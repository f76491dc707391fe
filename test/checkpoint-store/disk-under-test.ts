/** A disk store in a directory of its own, as the conformance suite wants it. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { diskStore } from '../../checkpoint-store/disk.ts'
import type { StoreUnderTest } from '../conformance/store.ts'

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'sluice-store-'))
}

export function diskUnderTest(directory: string): StoreUnderTest {
  return {
    open: () => diskStore({ directory }),
    createInOtherProcesses: async (key, count) => {
      const program = fileURLToPath(new URL('./create-once.main.ts', import.meta.url))
      const children = Array.from({ length: count }, () => fork(program, [directory, key]))
      await Promise.all(children.map((child) => once(child, 'message')))
      const answers = children.map(async (child) => {
        const [answer] = await once(child, 'message')
        return answer === 'created' ? 'created' : 'exists'
      })
      for (const child of children) child.send('go')
      return Promise.all(answers)
    },
  }
}
