import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { withProcessLock } from '../../services/kafka/process-lock.ts'

const scratch = mkdtempSync(join(tmpdir(), 'sluice-lock-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

test('the lock of a process that ended is taken over', async () => {
  const path = join(scratch, 'stale')
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  writeFileSync(path, String(pid))
  expect(await withProcessLock(path, 60_000, () => Promise.resolve('done'))).toBe('done')
  expect(existsSync(path)).toBe(false)
})

test('while a living process holds the lock nobody else works', async () => {
  const path = join(scratch, 'held')
  writeFileSync(path, String(process.pid))
  const work = withProcessLock(path, 1, () => Promise.resolve('done'))
  await expect(work).rejects.toThrow(`process ${process.pid} has held ${path} for 1 ms`)
})
