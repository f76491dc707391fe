/** Declares `sluice doctor`. */
import type { DoctorFlags } from '../doctor.ts'
import { collect, STORE_OPTION, type Declare } from './declaration.ts'

const EXAMPLES = `
Examples:
  sluice doctor                    this machine and the store
  sluice doctor orders             and who runs the job, what its log says
  sluice doctor job.ts             and whether the job could run here

Exit codes:
  0  nothing is in the way (there may be warnings)
  1  something is
  2  wrong usage`

export const declareDoctor: Declare = (program, end) => {
  program
    .command('doctor')
    .description('check Node, the store, permissions, free space, clocks, and a job; say what would help')
    .argument('[job]', 'the id of a job, or its job file')
    .option(...STORE_OPTION)
    .option('--set <key=value>', 'a setting of the job; repeatable', collect)
    .option('--json', 'as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (job: string | undefined, flags: DoctorFlags) =>
      end(await (await import('../doctor.ts')).doctor(job, flags)),
    )
}
