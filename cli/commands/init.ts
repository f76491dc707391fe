/** Declares `sluice init`. */
import type { InitFlags } from '../init.ts'
import type { Declare } from './declaration.ts'

const INIT_EXAMPLES = `
Examples:
  sluice init balances              writes to balances/, which may be there
  sluice init . --name my-balances  here; package and job are called my-balances`

export const declareInit: Declare = (program) => {
  program
    .command('init')
    .addHelpText('after', INIT_EXAMPLES)
    .description('write a small project that works: a job, its tests, some input, a README')
    .argument('[directory]', 'where to; made when missing', '.')
    .option('--name <name>', 'of the package and of the job (default: that of the directory)')
    .option('--force', 'overwrite files that are in the way')
    .option('--json', 'what was written, as JSON')
    .action(async (directory: string, flags: InitFlags) => (await import('../init.ts')).init(directory, flags))
}
