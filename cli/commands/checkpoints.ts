/** Declares `sluice checkpoints` and what it can do. */
import type { Command } from 'commander'
import type { CopyFlags } from '../checkpoints/copy.ts'
import type { CheckpointFlags } from '../checkpoints/subject.ts'
import type { VerifyFlags } from '../checkpoints/verify.ts'
import type { TriggerFlags } from '../checkpoints/trigger.ts'
import { ASK_EXIT_CODES, STORE_OPTION, TIMEOUT_OPTION, type Declare } from './declaration.ts'

const EXAMPLES = `
Examples:
  sluice checkpoints list job.ts
  sluice checkpoints show orders 41
  sluice checkpoints verify orders --all
  sluice checkpoints trigger orders --savepoint backup/now
  sluice checkpoints copy orders --to backup/before-the-edit
  sluice run job.ts --restore backup/before-the-edit --accept-duplicates`

const TRIGGER_HELP = `
Waits until the checkpoint is complete and all of it is committed: what the job
has read until now is visible then.

Examples:
  sluice checkpoints trigger orders
  sluice checkpoints trigger orders --savepoint backup/before-the-edit`

const JOB = ['<job>', 'the id of the job, or its job file'] as const
const JOB_OR_PLACE = ['<job>', 'the id of the job, its job file, or the place of a savepoint (with a /)'] as const

export const declareCheckpoints: Declare = (program, end) => {
  const group = program
    .command('checkpoints')
    .description('look at the checkpoints of a job, check them, copy one elsewhere')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
  declareReading(group, end)
  group
    .command('trigger')
    .description('ask a running job for a checkpoint, and wait until all of it is committed')
    .addHelpText('after', `${TRIGGER_HELP}\n${ASK_EXIT_CODES}`)
    .argument(...JOB)
    .option(...STORE_OPTION)
    .option(...TIMEOUT_OPTION)
    .option('--savepoint <place>', 'copy it to a place of its own then, for `run --restore <place>`')
    .option('--json', 'the outcome as JSON')
    .action(async (job: string, flags: TriggerFlags) =>
      end(await (await import('../checkpoints/trigger.ts')).trigger(job, flags)),
    )
  group
    .command('copy')
    .description('copy a committed checkpoint to a place of its own (a savepoint), for `run --restore <place>`')
    .argument(...JOB)
    .option(...STORE_OPTION)
    .requiredOption('--to <place>', 'where to: a directory or a store URI that holds no savepoint yet')
    .option('--checkpoint <n>', 'which one; left out: the newest that is committed')
    .option('--json', 'as JSON')
    .action(async (job: string, flags: CopyFlags) => (await import('../checkpoints/copy.ts')).copy(job, flags))
}

function declareReading(group: Command, end: Parameters<Declare>[1]): void {
  group
    .command('list')
    .description('the checkpoints that are retained: when, by whom, how big, committed or not')
    .argument(...JOB)
    .option(...STORE_OPTION)
    .option('--json', 'as JSON')
    .action(async (job: string, flags: CheckpointFlags) => (await import('../checkpoints/list.ts')).list(job, flags))
  group
    .command('show')
    .description('what a checkpoint holds: positions, operators and their state, commits that are due, blobs')
    .argument(...JOB_OR_PLACE)
    .argument('[checkpoint]', 'its number; left out: the newest')
    .option(...STORE_OPTION)
    .option('--json', 'as JSON')
    .action(async (job: string, checkpoint: string | undefined, flags: CheckpointFlags) =>
      (await import('../checkpoints/show.ts')).show(job, checkpoint, flags),
    )
  group
    .command('verify')
    .description('read every byte of a checkpoint and check it; exit code 1 names what is damaged')
    .argument(...JOB_OR_PLACE)
    .argument('[checkpoint]', 'its number; left out: the newest')
    .option('--all', 'all that are retained')
    .option(...STORE_OPTION)
    .option('--json', 'as JSON')
    .action(async (job: string, checkpoint: string | undefined, flags: VerifyFlags) =>
      end(await (await import('../checkpoints/verify.ts')).verify(job, checkpoint, flags)),
    )
  group
    .command('diff')
    .description('what has changed from one checkpoint to another: positions, operators, size of state, blobs')
    .argument(...JOB)
    .argument('<a>', 'the number of a checkpoint')
    .argument('<b>', 'the number of another')
    .option(...STORE_OPTION)
    .option('--json', 'as JSON')
    .action(async (job: string, a: string, b: string, flags: CheckpointFlags) =>
      (await import('../checkpoints/diff.ts')).diff(job, [a, b], flags),
    )
}
