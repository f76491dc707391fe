/** Declares `sluice txn` and what it can do. */
import type { Command } from 'commander'
import type { EndFlags } from '../txn/end.ts'
import type { TxnFlags } from '../txn/subject.ts'
import { collect, STORE_OPTION, type Declare } from './declaration.ts'

const EXAMPLES = `
Examples:
  sluice txn list job.ts                 what is open outside, and who holds it
  sluice txn show job.ts <transaction>   what a commit or an abort would mean
  sluice txn commit job.ts --all-due     as the next run would
  sluice txn abort job.ts --all-orphans  lets readers go on that wait in vain

commit and abort are for a job that does not run. They say what becomes
visible or is lost, and ask.`

const END_EXIT_CODES = `
Exit codes:
  0  done, or nothing to do
  1  at least one could not be ended: it says which, and why
  2  wrong usage, or refused before anything was ended
  3  a process runs the job, or may do so`

const JOB = ['<job>', 'the job file (job.ts): it says how to reach the outside'] as const
const SET_OPTION = ['--set <key=value>', 'a setting of the job; repeatable (default: as in the last run)'] as const

export const declareTxn: Declare = (program, end) => {
  const group = program
    .command('txn')
    .description('look at the transactions that sinks hold open outside; commit or abort one by hand')
    .helpCommand(false)
    .addHelpText('after', EXAMPLES)
  group
    .command('list')
    .description('what is open outside, what checkpoints hold, and what the next run will do with it')
    .argument(...JOB)
    .option(...STORE_OPTION)
    .option(...SET_OPTION, collect)
    .option('--json', 'as JSON')
    .action(async (job: string, flags: TxnFlags) => (await import('../txn/list.ts')).list(job, flags))
  group
    .command('show')
    .description('all that is known of one transaction, and what ending it by hand would mean')
    .argument(...JOB)
    .argument('<transaction>', 'its id, as list shows it')
    .option(...STORE_OPTION)
    .option(...SET_OPTION, collect)
    .option('--json', 'as JSON')
    .action(async (job: string, id: string, flags: TxnFlags) => (await import('../txn/show.ts')).show(job, id, flags))
  declareEnd(group, end, 'commit', 'make visible what a transaction holds, as the next run would')
  declareEnd(group, end, 'abort', 'give up what a transaction holds; of an orphan nothing is lost')
}

const DUPLICATES = [
  '--accept-duplicates',
  'commit what no completed checkpoint holds, too: the next run writes it again',
] as const
const LOSS = {
  commit: ['--accept-loss', 'commit what comes behind records that are lost'],
  abort: ['--accept-loss', 'abort what a completed checkpoint holds, too: its records never become visible'],
} as const

function declareEnd(group: Command, end: Parameters<Declare>[1], how: 'commit' | 'abort', description: string): void {
  const [flag, meaning] = LOSS[how]
  const command = group.command(how).description(description)
  if (how === 'commit') command.option(...DUPLICATES)
  command
    .addHelpText('after', END_EXIT_CODES)
    .argument(...JOB)
    .argument('[transaction]', 'its id, as list shows it')
    .option(...STORE_OPTION)
    .option(...SET_OPTION, collect)
    .option('--all-due', 'all that a completed checkpoint holds and nobody has committed')
    .option('--all-orphans', 'all that are open and no completed checkpoint holds')
    .option(flag, meaning)
    .option('--yes', 'do not ask')
    .option('--json', 'the outcome as JSON')
    .action(async (job: string, id: string | undefined, flags: EndFlags) =>
      end(await (await import('../txn/end.ts')).endByHand(how, { job, id, flags })),
    )
}
