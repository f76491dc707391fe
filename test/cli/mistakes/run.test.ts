/** Mistakes of a new user that show while a job runs, or when it was edited since, each answer judged: see run.txt. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { FOLLOWED, INPUT, job, SINK, SOURCE, tryMistakes, wrongJob, type Mistakes, type Trial } from './trial.ts'

const OFTEN = 'checkpoint: { intervalMs: 20 }'
const ONCE = "restart: { kind: 'fixed-delay', attempts: 1, delayMs: 10 }"
const NEVER = "restart: { kind: 'none' }"

/** A job that fails at its records, not again and again. */
function failing(steps: string, ...argv: readonly string[]): Mistakes[string] {
  return wrongJob(job(`${SOURCE}\n      ${steps}\n      ${SINK}`, NEVER), ...argv)
}

/** Runs the job until it has completed a checkpoint with records, and ends it as `signal` does. */
async function runFor(trial: Trial, text: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  trial.write('job.ts', text)
  const run = trial.place.start('run', 'job.ts', '--json')
  await trial.settled()
  run.child.kill(signal)
  await run.ended
}

/** The job is edited between two runs. */
function edited(before: string, ...after: readonly string[]): Mistakes[string] {
  return async (trial) => {
    trial.write('in.ndjson', INPUT)
    await runFor(trial, job(before, OFTEN), 'SIGTERM')
    for (const text of after) {
      trial.write('job.ts', job(text, OFTEN))
      await trial.sluice('run', 'job.ts')
    }
  }
}

function total(state: string): string {
  return `.keyBy((order) => order.id).process('total', { state: { ${state} }, onRecord(order, { emit }) { emit(order) } })`
}

/** Works where this process may mount. */
function mountSmall(directory: string): boolean {
  mkdirSync(directory)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** On a disk with room for 256 kB, mounted at `small`. */
function onSmallDisk(run: (trial: Trial) => Promise<void>): Mistakes[string] {
  return async (trial, context) => {
    const small = join(trial.place.directory, 'small')
    if (!mountSmall(small)) return context.skip()
    try {
      trial.write('in.ndjson', INPUT)
      await run(trial)
    } finally {
      execFileSync('umount', ['-l', small])
    }
  }
}

tryMistakes('run.txt', {
  'an input that is not there': async (trial) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`))
    await trial.sluice('run', 'job.ts')
  },
  'an input that may not be read': async (trial, context) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`))
    trial.write('in.ndjson', INPUT)
    trial.permit('in.ndjson', 0o000)
    trial.permit('.', 0o777)
    await trial.sluiceAsNobody(context, 'run', 'job.ts')
  },
  'an output that is a file': async (trial, context) => {
    trial.write('out', '')
    await wrongJob(job(`${SOURCE}${SINK}`))(trial, context)
  },
  'an output directory that may not be written': async (trial, context) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`))
    trial.write('in.ndjson', INPUT)
    trial.write('out/keep', '')
    trial.permit('out', 0o555)
    trial.permit('.', 0o777)
    await trial.sluiceAsNobody(context, 'run', 'job.ts')
  },
  'a line that is no JSON, mended': async (trial) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`))
    trial.write('in.ndjson', `${INPUT}{"id":"k20",\n`)
    await trial.sluice('run', 'job.ts')
    trial.write('in.ndjson', `${INPUT}{"id":"k20","cents":20}\n`)
    await trial.sluice('run', 'job.ts')
    trial.noteVisible('out')
  },
  'a line that is no JSON, for a program': async (trial, context) => {
    await wrongJob(job(`${SOURCE.replace('in.', 'bad.')}${SINK}`), '--json')(trial, context)
  },
  'JSON that the schema refuses': async (trial, context) => {
    const schema = `{ '~standard': { validate: (order) => typeof order.cents === 'number' && order.cents < 19 ? { value: order } :
      { issues: [{ path: ['cents'], message: 'must be below 19' }] } } }`
    await wrongJob(job(`${SOURCE.replace('json<Order>()', `json(${schema})`)}${SINK}`))(trial, context)
  },
  'a file that is one long line': async (trial) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`))
    trial.write('in.ndjson', `{"id":"${'x'.repeat(70_000_000)}"}\n`)
    await trial.sluice('run', 'job.ts')
  },
  'an input that was rewritten between two runs': async (trial) => {
    trial.write('in.ndjson', INPUT)
    await runFor(trial, job(`${FOLLOWED}${SINK}`, OFTEN), 'SIGTERM')
    trial.write('in.ndjson', '{"id":"z"}\n')
    await trial.sluice('run', 'job.ts')
  },
  'a function that throws': failing(".map('name', (order) => order.customer.name)"),
  'a function that throws again and again': wrongJob(
    job(`${SOURCE}\n      .map('name', (order) => order.customer.name)\n      ${SINK}`, ONCE),
  ),
  'a promise from a map': failing(".map('loaded', async (order) => order)"),
  'a key that is none': failing(
    ".keyBy((order) => order.customer).process('same', { onRecord(order, { emit }) { emit(order) } })",
  ),
  'an instance of a class in state': failing(
    ".keyBy((order) => order.id).process('last', { state: { url: value(() => null) }, onRecord(order, { state }) " +
      "{ state.url.set(new URL('http://localhost')) } })",
  ),
  'an instance of a class between workers': failing(
    ".map('url', (order) => new URL('http://localhost/' + order.id)).keyBy((url) => url.href)" +
      ".process('same', { onRecord(url, { emit }) { emit(url.href) } })",
    '--parallelism',
    '2',
    '--workers',
    '2',
  ),
  'a record that has no JSON form': failing(".map('cents', (order) => ({ cents: BigInt(order.cents) }))"),
  'a function that forgets to return': failing(".map('cents', (order) => { order.cents })"),
  'a record sent after the function has returned': failing(
    ".process('late', { onRecord(order, { emit }) { queueMicrotask(() => emit(order)) } })",
  ),
  'one record that becomes far too many': failing(
    ".process('many', { onRecord(order, { emit }) { for (let n = 0; n < 5_000_000; n += 1) emit(n) } })",
  ),
  'a job that ends the process': failing(".map('bye', () => process.exit(0))"),
  'a job that ends the process, for a program': failing(".map('bye', () => process.exit(3))", '--json'),
  'an error in a timer': failing(
    ".map('late', (order) => { setTimeout(() => { throw new Error('too late') }); return order })",
  ),
  'an error in a timer of a worker': failing(
    ".map('late', (order) => { setTimeout(() => { throw new Error('too late') }); return order })",
    '--workers',
    '1',
  ),
  'a job that ends a worker': failing(".map('bye', () => process.exit(0))", '--workers', '1'),
  'a promise that nobody waits for': failing(
    ".map('late', (order) => { Promise.reject(new Error('no luck')); return order })",
  ),
  'an operator with state that is gone': edited(
    `${FOLLOWED}${total('cents: value(() => 0)')}${SINK}`,
    `${FOLLOWED}${SINK}`,
  ),
  'state that is gone, or of another kind': edited(
    `${FOLLOWED}${total('cents: value(() => 0)')}${SINK}`,
    `${FOLLOWED}${total('euros: value(() => 0)')}${SINK}`,
    `${FOLLOWED}${total('cents: list()')}${SINK}`,
  ),
  'a source with another id': edited(`${FOLLOWED}${SINK}`, `${FOLLOWED.replace("'orders'", "'sales'")}${SINK}`),
  'a sink that was moved after a crash': async (trial) => {
    trial.write('in.ndjson', INPUT)
    await runFor(trial, job(`${FOLLOWED}${SINK}`, OFTEN), 'SIGKILL')
    trial.write('job.ts', job(`${FOLLOWED}${SINK.replace("path: 'out'", "path: 'new'")}`, OFTEN))
    await trial.sluice('run', 'job.ts')
  },
  'a sink that is gone after a crash': async (trial) => {
    trial.write('in.ndjson', INPUT)
    await runFor(trial, job(`${FOLLOWED}${SINK}`, OFTEN), 'SIGKILL')
    trial.write('job.ts', job(`${FOLLOWED}${SINK.replace("sink('out'", "sink('new'")}`, OFTEN))
    await trial.sluice('run', 'job.ts')
  },
  'a full disk under the output': onSmallDisk(async (trial) => {
    const many = `.flatMap('many', (order) => Array.from({ length: 5_000 }, () => order))`
    trial.write('job.ts', job(`${SOURCE}${many}${SINK.replace("path: 'out'", "path: 'small/out'")}`, ONCE))
    await trial.sluice('run', 'job.ts')
    execFileSync('mount', ['-o', 'remount,size=64m', join(trial.place.directory, 'small')])
    await trial.sluice('run', 'job.ts')
    trial.noteVisible('small/out')
  }),
  'a full disk under the store': onSmallDisk(async (trial) => {
    trial.write('job.ts', job(`${SOURCE}${SINK}`, ONCE))
    trial.fill('small/rest')
    await trial.sluice('run', 'job.ts', '--store', 'small')
    trial.remove('small/rest')
    await trial.sluice('run', 'job.ts', '--store', 'small')
    trial.noteVisible('out')
  }),
})
