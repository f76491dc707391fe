/** A start of `sluice run`, as built, to its first visible record; and the memory of a job that has nothing to do. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRun, until, visibleFiles } from './command.ts'
import { median } from './figures.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const TIMEOUT_MS = 30_000
const IDLE_MS = 4_000

/** The package as it is published, but for the modules it shares with the checkout; its command. */
export function buildPackage(directory: string): string {
  mkdirSync(directory)
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  execFileSync(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(directory, 'dist')])
  cpSync(join(ROOT, 'bin'), join(directory, 'bin'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  return join(directory, 'bin/sluice.mjs')
}

/** Medians of `times` starts; the first one, which fills the compile cache, is not counted. */
export async function coldStartMs(command: string, directory: string, times: number): Promise<number> {
  mkdirSync(directory)
  const job = join(directory, 'job.ts')
  for (const file of ['job.ts', 'exact-json.ts']) cpSync(join(ROOT, 'examples/quickstart', file), join(directory, file))
  writeFileSync(join(directory, 'in.ndjson'), '{"key":"a"}\n')
  const taken: number[] = []
  for (let time = 0; time <= times; time += 1) {
    const output = join(directory, `out-${time}`)
    const startedAt = performance.now()
    const running = startRun(command, job, {
      store: join(directory, `store-${time}`),
      settings: { input: join(directory, 'in.ndjson'), field: 'key', output },
    })
    const file = await until(running, () => visibleFiles(output)[0], TIMEOUT_MS)
    taken.push(performance.now() - startedAt)
    await running.ended
    if (readFileSync(join(output, file), 'utf8') !== '{"value":"a","count":1}\n') throw new Error('wrong output')
  }
  return Math.round(median(taken.slice(1)))
}

/** Resident memory of the whole process after some seconds, MiB. */
export async function idleMb(command: string, directory: string): Promise<number> {
  mkdirSync(directory)
  const job = join(directory, 'job.ts')
  cpSync(fileURLToPath(new URL('idle.job.ts', import.meta.url)), job)
  const running = startRun(command, job, {
    store: join(directory, 'store'),
    settings: { output: join(directory, 'out') },
  })
  await new Promise((resolve) => {
    setTimeout(resolve, IDLE_MS)
  })
  const status = readFileSync(`/proc/${running.child.pid}/status`, 'utf8')
  running.child.kill('SIGKILL')
  await running.ended
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1_024)
}
