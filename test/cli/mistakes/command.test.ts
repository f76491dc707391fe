/** Mistakes of a new user with the command line and the store, each answer judged: see command.txt. */
import { FOLLOWED, INPUT, job, SINK, SOURCE, tryMistakes, wrongJob, type Mistakes } from './trial.ts'

const GOOD = job(`settings.string('day', { default: 'monday' })\n    ${SOURCE}${SINK}`)
const FOREVER = job(`${FOLLOWED}${SINK}`, 'checkpoint: { intervalMs: 20 }')

/** A command in an empty directory. */
function nothingThere(...argv: readonly string[]): Mistakes[string] {
  return async (trial) => await trial.sluice(...argv)
}

tryMistakes('command.txt', {
  'a command that is not there': nothingThere('launch', 'job.ts'),
  'a command with a slip of the pen': nothingThere('rnu', 'job.ts'),
  'a command that is not there, for a program': nothingThere('launch', 'job.ts', '--json'),
  'a job file that is not there': nothingThere('run', 'job.ts'),
  'a job file that is not there, for a program': nothingThere('run', 'job.ts', '--json'),
  'no job file': nothingThere('run'),
  'no job file, for a program': nothingThere('plan', '--json'),
  'a directory in the place of the job file': async (trial) => {
    trial.write('jobs/job.ts', GOOD)
    await trial.sluice('run', 'jobs')
  },
  'a command of a group that is not there': nothingThere('checkpoints', 'lst', 'job.ts'),
  'a command of a group without its job': nothingThere('checkpoints', 'list', '--json'),
  'two job files': nothingThere('run', 'a.ts', 'b.ts'),
  'an option that is not there': wrongJob(GOOD, '--fast'),
  'an option with a slip of the pen': wrongJob(GOOD, '--paralelism', '2'),
  'an option without its value': wrongJob(GOOD, '--store'),
  'a setting without a value': wrongJob(GOOD, '--set', 'day'),
  'a setting given twice': wrongJob(GOOD, '--set', 'day=monday', '--set', 'day=tuesday'),
  'a parallelism of words': wrongJob(GOOD, '--parallelism', 'two'),
  'no worker at all': wrongJob(GOOD, '--workers', '0'),
  'workers that cannot see the store': wrongJob(GOOD, '--workers', '2', '--store', 'memory:'),
  'a checkpoint of words': wrongJob(GOOD, '--restore', 'newest'),
  'a checkpoint of a job that never ran': wrongJob(GOOD, '--restore', '7'),
  'a checkpoint that is not there, and going back without a word about duplicates': async (trial, context) => {
    await wrongJob(GOOD)(trial, context)
    await trial.sluice('run', 'job.ts', '--restore', '99')
    await trial.sluice('run', 'job.ts', '--restore', 'none')
  },
  'a finished job, run again': async (trial, context) => {
    await wrongJob(GOOD)(trial, context)
    await trial.sluice('run', 'job.ts')
    await trial.sluice('run', 'job.ts', '--set', 'day=friday')
    trial.noteVisible('out')
  },
  'a loss that nobody has': async (trial) => {
    trial.write('job.ts', FOREVER)
    trial.write('in.ndjson', INPUT)
    const run = trial.place.start('run', 'job.ts', '--json')
    await run.says('"completed","checkpoint":2')
    await trial.stop(run)
    await trial.sluice('run', 'job.ts', '--accept-loss', '1')
  },
  'a store that is a file': async (trial, context) => {
    trial.write('store', '')
    await wrongJob(GOOD, '--store', 'store')(trial, context)
  },
  'a store of a kind that is not there': wrongJob(GOOD, '--store', 'redis://localhost'),
  'a store that is empty text': wrongJob(GOOD, '--store', ''),
  'the status of a store that is not there': nothingThere('status', 'shop'),
  'the status of a job that the store does not know': async (trial, context) => {
    await wrongJob(GOOD)(trial, context)
    await trial.sluice('status', 'shops')
    await trial.sluice('status', 'jobs/shop.ts')
  },
  'two runs at once': async (trial) => {
    trial.write('job.ts', FOREVER)
    trial.write('in.ndjson', INPUT)
    const first = trial.place.start('run', 'job.ts', '--json')
    await first.says('"completed","checkpoint":2')
    await trial.sluice('run', 'job.ts')
    // It was left alone.
    await trial.stop(first)
  },
  'a run that another one has taken over': async (trial) => {
    trial.write('job.ts', FOREVER)
    trial.write('in.ndjson', INPUT)
    const first = trial.place.start('run', 'job.ts')
    await first.says('running')
    const second = trial.place.start('run', 'job.ts', '--take-over')
    await trial.note(first, ['run', 'job.ts'])
    await trial.stop(second)
  },
  'the store moved away while the job runs': async (trial) => {
    trial.write('job.ts', FOREVER)
    trial.write('in.ndjson', INPUT)
    const run = trial.place.start('run', 'job.ts')
    await run.says('running')
    trial.rename('.sluice', 'elsewhere')
    await trial.note(run, ['run', 'job.ts'])
  },
  'a store that may not be made': async (trial, context) => {
    trial.write('job.ts', GOOD)
    trial.write('in.ndjson', INPUT)
    trial.permit('.', 0o555)
    await trial.sluiceAsNobody(context, 'run', 'job.ts')
  },
  'a store that may not be written': async (trial, context) => {
    trial.write('job.ts', GOOD)
    trial.write('in.ndjson', INPUT)
    trial.write('store/keep', '')
    trial.permit('.', 0o777)
    trial.permit('store', 0o555)
    await trial.sluiceAsNobody(context, 'run', 'job.ts', '--store', 'store')
  },
})
