/** Declares `sluice run`. */
import type { RunFlags } from '../run.ts'
import { collect, EXIT_CODES, STORE_OPTION, type Declare } from './declaration.ts'

const RUN_EXAMPLES = `
Examples:
  sluice run job.ts --set input='data/*.ndjson' --set output=out
  sluice run job.ts                    goes on from the last checkpoint, with
                                       the settings of the last run
  sluice run job.ts --workers 4        tasks in four processes; one that dies is
                                       replaced
  sluice run job.ts --standby          a second copy: takes over when the first
                                       is gone, ends when the job does
  sluice run job.ts --restore 41 --accept-duplicates
  sluice run job.ts --drop old-totals  the job was edited: "old-totals" is gone`

export const declareRun: Declare = (program, end) => {
  program
    .command('run')
    .addHelpText('after', `${RUN_EXAMPLES}\n${EXIT_CODES}`)
    .description('run a job until its input ends or it is stopped; goes on from the last checkpoint')
    .argument('<job>', 'the job file (job.ts)')
    .option(...STORE_OPTION)
    .option('--set <key=value>', 'a setting of the job; repeatable', collect)
    .option('--restore <what>', 'latest, a checkpoint number, the place of a savepoint, or none', 'latest')
    .option(
      '--accept-duplicates',
      'with --restore of anything but the newest: what became visible since is written again',
    )
    .option('--accept-loss <checkpoint>', 'go on although commits of this checkpoint are lost')
    .option('--drop <operator>', 'give up the checkpointed part of an operator that is gone; repeatable', collect)
    .option('--workers <n>', 'run the tasks in so many processes of their own; default: all in this one')
    .option('--take-over', 'fence a run that still lives')
    .option('--standby', 'wait while another process runs the job, and take over when it is gone')
    .option(
      '--parallelism <n>',
      'subtasks of each operator that names no number of its own (default: what the job says, or 1)',
    )
    .option('--json', 'events as JSON lines on stdout, logs as JSON lines on stderr')
    .action(async (job: string, flags: RunFlags) => end(await (await import('../run.ts')).run(job, flags)))
}
